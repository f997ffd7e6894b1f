"""Quantized models as ``.safetensors`` files: tensors, and the plan as JSON metadata.

The file rebuilds the network without the user's code; nothing in it is unpickled.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from qnn.errors import QnnError
from qnn.files import write_whole
from qnn.nn.model import QuantizedModel
from qnn.nn.plan import Plan

FORMAT = "qnn-quantized-model"
# Raised whenever an older reader would read a new file wrongly.
VERSION = 2


@dataclass(frozen=True)
class ModelSource:
    """Where a quantized model came from: ``module:factory`` or a name of the zoo, and weights."""

    architecture: str
    checkpoint: str | None = None


def save(quantized: QuantizedModel, path: str | Path, source: ModelSource | None = None) -> None:
    """Write the file; a reader never sees half of it.

    Raises
    ------
    QnnError
        The folder is missing or not writable, or the disk is full.
    """
    path = Path(path)
    state = quantized.state_dict()
    # Files are equal whatever device and memory format a network was trained in.
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        # Sorted, so that equal models are equal bytes.
        "plan": json.dumps(quantized.plan.to_fields(), sort_keys=True),
        "architecture": source.architecture if source else "",
        "checkpoint": (source.checkpoint or "") if source else "",
    }
    try:
        write_whole(path, to_bytes(tensors, metadata))
    except OSError as error:
        raise QnnError(
            f"{path}: a quantized model needs a writable folder with room, but got "
            f"'{error.strerror}'; choose another path"
        ) from None


def load(path: str | Path) -> QuantizedModel:
    """The quantized model of a file, in evaluation mode.

    Raises
    ------
    QnnError
        No such file, not a quantized model, another version, cut short or altered.
    """
    metadata, state = _read(Path(path))
    if metadata.get("format") != FORMAT:
        raise QnnError(f"{path}: not a quantized model of qnn; write one with 'qnn quantize'")
    if metadata.get("version") != str(VERSION):
        raise QnnError(
            f"{path}: quantized model version {metadata.get('version')}, but this qnn reads "
            f"version {VERSION}; quantize the model again"
        )
    try:
        quantized = QuantizedModel(Plan.from_fields(json.loads(metadata["plan"])))
        quantized.load_state_dict(state)
    # What building a plan from foreign fields raises, and load_state_dict's RuntimeError.
    except (KeyError, TypeError, ValueError, RuntimeError):
        raise QnnError(
            f"{path}: its tensors and its plan disagree; quantize the model again"
        ) from None
    return quantized.eval()


def source(path: str | Path) -> ModelSource | None:
    """Where the model of a file came from, if the file says so; raises as ``load`` does."""
    metadata, _ = _read(Path(path))
    if not metadata.get("architecture"):
        return None
    return ModelSource(metadata["architecture"], metadata.get("checkpoint") or None)


def _read(path):
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
    except FileNotFoundError:
        raise QnnError(f"{path}: no such file; write one with 'qnn quantize'") from None
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise QnnError(
            f"{path}: cannot be read as a quantized model: {reason}; copy or quantize it again"
        ) from None
