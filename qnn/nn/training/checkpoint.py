"""A run on disk, ``.safetensors`` with JSON metadata: whole or not at all, and never unpickled."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from qnn.errors import ModelError
from qnn.files import write_whole
from qnn.nn.training.fingerprint import difference

FORMAT = "qnn-training-checkpoint"
VERSION = 1


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
    # Cloned: safetensors refuses tensors that share memory, as the average and the weights may.
    tensors = {n: t.detach().cpu().contiguous().clone() for n, t in saved.tensors.items()}
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "step": str(saved.step),
        "fingerprint": json.dumps(saved.fingerprint),
        "tally": json.dumps(saved.tally),
    }
    try:
        write_whole(path, to_bytes(tensors, metadata))
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
    metadata, tensors = _read(path)
    if metadata.get("format") != FORMAT or metadata.get("version") != str(VERSION):
        raise ModelError(
            f"checkpoint {path} is no training checkpoint of this qnn; name another file, or "
            f"remove it"
        )
    # JSON knows no tuples: what is compared with this must have gone through it too.
    kept = json.loads(metadata["fingerprint"])
    other = difference(kept, fingerprint)
    if other:
        raise ModelError(f"checkpoint {path} {other}; name another file, or remove it")
    return Saved(int(metadata["step"]), tensors, kept, json.loads(metadata["tally"]))


def _read(path):
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ModelError(
            f"checkpoint {path} cannot be read: {reason}; name another file, or remove it"
        ) from None
