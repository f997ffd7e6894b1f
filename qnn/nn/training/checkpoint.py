"""A run on disk, ``.safetensors`` with JSON metadata: whole or not at all, and never unpickled."""

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from qnn.errors import ModelError
from qnn.fields import FieldsError, Place, parsed, typed, typed_fields
from qnn.nn.training.fingerprint import difference
from qnn.nn.training.watch import Tally
from qnn.tensor_file import TensorFileError, read_tensors, write_tensors

FORMAT = "qnn-training-checkpoint"
VERSION = 4


@dataclass(frozen=True, eq=False)
class Saved:
    """What a run needs to go on as if it had never stopped.

    Members
    -------
    step : updates done
    tensors : of model, optimizer, average and scaler, by name
    fingerprint : what the run is of
    tally : what it has seen, plain values
    """

    step: int
    tensors: dict[str, Tensor]
    fingerprint: dict
    tally: dict


def save(saved: Saved, path: Path) -> None:
    """Write the file; a reader never sees half of it.

    Raises
    ------
    ModelError
        The folder is missing or not writable, or the disk is full.
    """
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "step": str(saved.step),
        "fingerprint": json.dumps(saved.fingerprint),
        "tally": json.dumps(saved.tally),
    }
    try:
        write_tensors(path, saved.tensors, metadata)
    except OSError as error:
        raise ModelError(
            f"checkpoint {path} needs a writable folder with room, but got '{error.strerror}'; "
            f"choose another path"
        ) from None


def load(path: Path, fingerprint: dict) -> Saved | None:
    """The run that ``path`` holds, which must be of ``fingerprint``; None if there is no such file.

    Raises
    ------
    ModelError
        The file is no checkpoint, or one of another model, grid, recipe, teacher or data.
    """
    if not path.exists():
        return None
    texts, tensors, is_whole = _read(path)
    if texts.get("format") != FORMAT or texts.get("version") != str(VERSION):
        raise ModelError(
            f"checkpoint {path} is no training checkpoint of this qnn; name another file, or "
            f"remove it"
        )
    if not is_whole:
        raise ModelError(
            f"checkpoint {path} needs the bytes that training wrote, but its checksum does not "
            f"match; name another file, or remove it"
        )
    try:
        step, kept, tally = _texts(texts, fingerprint)
    except FieldsError as error:
        raise ModelError(f"checkpoint {path}: {error}; name another file, or remove it") from None
    other = difference(kept, fingerprint) or _other_shape(tensors, fingerprint["shapes"])
    if other:
        raise ModelError(f"checkpoint {path} {other}; name another file, or remove it")
    return Saved(step, tensors, kept, tally.to_fields())


def _texts(texts, fingerprint):
    """Step, fingerprint and tally of a file's texts."""
    texts = {name: texts.get(name, "") for name in ("step", "fingerprint", "tally")}
    # JSON knows no tuples: what is compared with this must have gone through it too.
    kinds = dict.fromkeys(fingerprint, object)
    kinds |= {"shapes": dict[str, tuple[Place, ...]], "grid": list[dict], "recipe": dict}
    kept = parsed(texts["fingerprint"])
    typed_fields(kinds, kept)
    return typed(Place, parsed(texts["step"])), kept, typed(Tally, parsed(texts["tally"]))


def _other_shape(tensors, shapes):
    for name, shape in shapes.items():
        held = tensors.get(f"model/{name}")
        if held is None or list(held.shape) != list(shape):
            return f"has no tensor '{name}' of shape {tuple(shape)}"
    return None


def _read(path):
    try:
        file = read_tensors(path)
    except (TensorFileError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(
            f"checkpoint {path} cannot be read: {reason}; name another file, or remove it"
        ) from None
    return file.texts, file.tensors, file.is_whole
