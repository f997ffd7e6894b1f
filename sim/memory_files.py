"""Words of memory in files, as the bench in Verilog reads and writes them."""

from pathlib import Path

import numpy as np


def read_words(path: Path, word_bytes: int) -> np.ndarray:
    """Bytes from what $writememh wrote: a word per line, and comments."""
    lines = [line for line in path.read_text().split("\n") if line and line[0] not in "/@"]
    words = np.frombuffer(bytes.fromhex("".join(lines)), np.uint8).reshape(-1, word_bytes)
    # $writememh prints the highest byte of a word first.
    return np.ascontiguousarray(words[:, ::-1]).reshape(-1)


def write_words(path: Path, content: np.ndarray, word_bytes: int) -> None:
    """Write whole words of bytes as $fread takes them."""
    content.reshape(-1, word_bytes)[:, ::-1].tofile(path)
