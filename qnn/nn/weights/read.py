"""The content of a checkpoint file, of whatever form: tensors, numbers, texts and placeholders."""

import errno
import warnings
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from qnn.archive_file import BROKEN_ARCHIVE, TORCH_RATIO
from qnn.errors import ModelError
from qnn.nn.artifact import FORMAT
from qnn.nn.weights.foreign import placeholders
from qnn.nn.weights.signs import check_file, is_safetensors, unreadable
from qnn.nn.weights.structure import natural

ADVICE = "give a dictionary of tensors that torch.save or safetensors wrote"
SAVE = "save its weights alone: torch.save(model.state_dict(), FILE)"


def read_content(path: Path) -> object:
    """What the file holds; its bytes and not its name decide how it is read.

    Raises
    ------
    ModelError
        It cannot be read.
    """
    if is_safetensors(check_file(path)) or path.suffix == ".safetensors":
        return _safetensors(path)
    return _torch(path)


def _safetensors(path):
    try:
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("format") == FORMAT:
                raise ModelError(
                    f"checkpoint {path} is a quantized model of qnn, not float weights; give the "
                    f"checkpoint that it was quantized from"
                )
            # The format keeps no order. Numbers in names count up, as in the network.
            return {name: file.get_tensor(name) for name in sorted(file.keys(), key=natural)}
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise unreadable(path, reason, "copy or save it again") from None


def _torch(path):
    if (size := _unpacked_bytes(path)) > TORCH_RATIO * path.stat().st_size:
        raise unreadable(path, f"its members would take {size:,} bytes", "save it again")
    try:
        with warnings.catch_warnings(), placeholders(_foreign_classes(path)):
            # Of old formats and protocols, which are read all the same.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # any: a cut or foreign file raises many kinds
        raise unreadable(path, *_reason(path, error)) from error


def _unpacked_bytes(path):
    """What the members of an archive say to be in all; 0 for another file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    # Of an older format, or an archive that the reader itself refuses.
    except BROKEN_ARCHIVE:
        return 0


def _foreign_classes(path):
    """Names that the file's pickle asks for and PyTorch's reader of weights does not allow."""
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # any: an older format, or no checkpoint at all, which the reader itself says
        return []


def _reason(path, error):
    text = str(error)
    if "TorchScript" in text:
        return "it is a TorchScript archive", SAVE
    if _is_zip_of(path, (".npy", "archive_format")):
        return "it is an archive of another kind", SAVE
    # Blocked modules are those that could run programs; other names have a placeholder.
    if "blocked" in text or "global" in text:
        return "it asks for code and not for tensors alone", SAVE
    # A place beyond the end, as a cut archive names, is an invalid argument to the system.
    told = isinstance(error, OSError) and error.errno != errno.EINVAL
    return (told and error.strerror) or "it holds something else, or is cut short", ADVICE


def _is_zip_of(path, ends):
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(ends) for name in archive.namelist())
    except BROKEN_ARCHIVE:
        return False
