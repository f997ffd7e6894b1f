"""One artifact: what the list says of it, and the text that shows how it differs."""

import hashlib
import json
from dataclasses import dataclass

from tests.replay import product

BLOCK_BYTES = 1024  # of an image's data, for each of which the shown text has one line


@dataclass(frozen=True)
class Artifact:
    """What was built.

    Members
    -------
    summary : one line, which differs wherever the bytes do
    shown : text that a reader can compare
    """

    summary: str
    shown: str


def of_bytes(data: bytes) -> Artifact:
    """Of a text file; of another, the shown text has each line of its bytes as it is."""
    return Artifact(digest(data), data.decode(errors="backslashreplace"))


def of_refusal(text: str) -> Artifact:
    """Of what was refused: the user's message itself."""
    return Artifact(f"refused: {' '.join(text.split())}", text)


def of_image(data: bytes) -> Artifact:
    """Of an image, with a digest for each of its parts."""
    program, body, metadata = product.image_parts(product.Image.from_bytes(data))
    facts = json.dumps(metadata, indent=1, sort_keys=True)
    blocks = [body[start : start + BLOCK_BYTES] for start in range(0, len(body), BLOCK_BYTES)]
    lines = [f"data at {n * BLOCK_BYTES}: {digest(block)}" for n, block in enumerate(blocks)]
    parts = {
        f"{len(program)}-instructions": "\n".join(program).encode(),
        f"{len(body)}-data-bytes": body,
        "metadata": facts.encode(),
    }
    summary = " ".join(f"{name}={digest(part)[:12]}" for name, part in parts.items())
    return Artifact(f"{digest(data)} {summary}", "\n".join([*program, facts, *lines]))


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
