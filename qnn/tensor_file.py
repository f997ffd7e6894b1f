"""Tensors and texts in one ``.safetensors`` file: the same bytes for the same content, and checked.

The format is that of the safetensors library, whose readers take the files. Ours has a hash in its
texts, the SHA-256 of the whole file with this hash as zeros, so that no bit may differ.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from qnn.fields import FieldsError, parsed, typed
from qnn.files import read_file, write_whole

LENGTH = struct.Struct("<Q")  # of the header, in front of it
ALIGNMENT = 8  # bytes, so that tensors behind the header can be used where they lie
SEAL = "sha256"
BLANK = "0" * 64
# As it stands in a header; in a name its quotation marks would have a backslash.
_SEALED = f'"{SEAL}":"'.encode()


class TensorFileError(ValueError):
    """A file that cannot be read as tensors; the text, of one line, says why."""


@dataclass(frozen=True, eq=False)
class TensorFile:
    """What a file holds.

    Members
    -------
    texts : its metadata
    is_whole : whether it has a hash, which is that of its bytes
    """

    tensors: dict[str, Tensor]
    texts: dict[str, str]
    is_whole: bool


def write_tensors(path: Path, tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> None:
    """Write the file; a reader never sees half of it.

    Raises
    ------
    OSError
        As ``qnn.files.write_whole``.
    """
    write_whole(path, tensor_bytes(tensors, texts))


def tensor_bytes(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> bytes:
    """The file's bytes, with its hash."""
    # Cloned: the library refuses tensors that share memory, as an average and its weights may.
    held = {n: t.detach().cpu().contiguous().clone() for n, t in sorted(tensors.items())}
    plain = save(held)
    (size,) = LENGTH.unpack_from(plain)
    header = json.loads(plain[LENGTH.size :][:size])
    # The library writes texts in an order that differs from run to run; here it is fixed.
    metadata = dict(sorted({**texts, SEAL: BLANK}.items()))
    text = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    blank = LENGTH.pack(len(text)) + text + plain[LENGTH.size + size :]
    place = blank.index(_SEALED) + len(_SEALED)
    seal = hashlib.sha256(blank).hexdigest().encode()
    return blank[:place] + seal + blank[place + len(seal) :]


def read_tensors(path: Path) -> TensorFile:
    """The content of a file, which may be another program's.

    Raises
    ------
    OSError
        There is no such file, it is not regular, or it cannot be read.
    TensorFileError
        It holds something else, or is cut.
    """
    data = read_file(path)
    try:
        # The library sees that the tensors are inside the file, and all of it.
        tensors = load(data)
        header = typed(dict, parsed(data[LENGTH.size :][: LENGTH.unpack_from(data)[0]]))
        texts = typed(dict[str, str], header.get("__metadata__") or {})
    # Of an unknown type of tensor, the library says its name as a key.
    except (SafetensorError, FieldsError, KeyError, struct.error) as error:
        # The library names the header only where it reads a file by its name.
        reason = str(error).splitlines()[0].replace("deserializing:", "deserializing header:")
        raise TensorFileError(reason.rstrip(".")) from None
    return TensorFile(tensors, texts, _is_whole(data, texts.get(SEAL)))


def _is_whole(data, seal):
    place = data.find(_SEALED) + len(_SEALED)
    if seal is None or data[place : place + len(BLANK)] != seal.encode():
        return False
    digest = hashlib.sha256(data[:place] + BLANK.encode() + data[place + len(BLANK) :])
    return digest.hexdigest() == seal
