"""What a file is that holds no weights, told by its first bytes before anything reads it."""

from pathlib import Path

from qnn.errors import ModelError

HEAD = 64  # bytes that tell kinds apart; the longest sign has 24
# What a file begins with, in lower case; what it then is; what to do.
SIGNS = (
    (b"version https://git-lfs", "a git-lfs pointer", "fetch what it stands for: git lfs pull"),
    (b"<", "an HTML or XML page", "download the checkpoint itself"),
    (b"{", "JSON text", "give the file of tensors that it describes"),
    (b"[", "JSON text", "give the file of tensors that it describes"),
    (b"\x89hdf", "an HDF5 file, as Keras writes it", "convert it to a PyTorch state dict"),
    (b"\x1f\x8b", "gzip data", "decompress it"),
    (b"\xfd7zxz", "xz data", "decompress it"),
    (b"\x93numpy", "a NumPy array", "save a dictionary of tensors with torch.save"),
    (b"gguf", "a GGUF file", "give the float checkpoint"),
    (b"\x7felf", "a program", "give the checkpoint"),
)
KINDS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")  # suffixes that a folder is searched for


def check_file(path: Path) -> bytes:
    """The first bytes of a file that may hold weights.

    Raises
    ------
    ModelError
        There is no such file, it is empty, no plain file, or plainly another kind of file.
    """
    if not path.exists():
        raise unreadable(
            path,
            "No such file or directory",
            "give a dictionary of tensors that torch.save or safetensors wrote",
        )
    if path.is_dir():
        inside = sorted(each.name for each in path.iterdir() if each.suffix in KINDS)[:3]
        held = f"; it has {', '.join(inside)}" if inside else ""
        raise unreadable(path, f"it is a folder{held}", "give the file of weights")
    # A named pipe or a device would let the reader wait, or read, for ever.
    if not path.is_file():
        raise unreadable(path, "it is no plain file", "copy it into one")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise unreadable(path, error.strerror, "let your user read it") from None
    if not head:
        raise unreadable(path, "it is empty", "copy or save it again")
    # Before the signs: the first byte is of a length, and may be any.
    if is_safetensors(head):
        return head
    for sign, kind, advice in SIGNS:
        if head.lstrip().lower().startswith(sign):
            raise unreadable(path, f"it is {kind}", advice)
    return head


def is_safetensors(head: bytes) -> bool:
    """Whether a file that begins so is of safetensors: a length of eight bytes, then JSON."""
    return head[7:9] == b"\0{"


def unreadable(path: Path, reason: str, advice: str) -> ModelError:
    """The refusal of a file that cannot be read."""
    return ModelError(f"checkpoint {path} cannot be read: {reason}; {advice}")
