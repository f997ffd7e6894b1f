"""Quantized models as ``.safetensors`` files: tensors, and the plan as JSON metadata.

The file rebuilds the network without the user's code; nothing in it is unpickled. Its hash is of
all its bytes, and its layers are held to each other when it is read.
"""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch

from qnn.errors import ModelError, QnnError
from qnn.fields import FieldsError, parsed
from qnn.nn.consistent import check_consistent
from qnn.nn.model import QuantizedModel
from qnn.nn.plan import Plan
from qnn.tensor_file import TensorFileError, read_tensors, write_tensors

FORMAT = "qnn-quantized-model"
# Raised whenever an older reader would read a new file wrongly.
VERSION = 3


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
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        # Sorted, so that equal models are equal bytes.
        "plan": json.dumps(quantized.plan.to_fields(), sort_keys=True),
        "architecture": source.architecture if source else "",
        "checkpoint": (source.checkpoint or "") if source else "",
    }
    try:
        write_tensors(path, quantized.state_dict(), metadata)
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
    file = _read(Path(path))
    if file.texts.get("format") != FORMAT:
        raise QnnError(f"{path}: not a quantized model of qnn; write one with 'qnn quantize'")
    if file.texts.get("version") != str(VERSION):
        raise QnnError(
            f"{path}: quantized model version {file.texts.get('version')}, but this qnn reads "
            f"version {VERSION}; quantize the model again"
        )
    if not file.is_whole:
        raise QnnError(f"{path}: its checksum does not match; copy or quantize it again")
    try:
        quantized = _model(Plan.from_fields(parsed(file.texts.get("plan", ""))), file.tensors)
        check_consistent(quantized)
    except FieldsError as error:
        raise QnnError(f"{path}: its plan: {error}; quantize the model again") from None
    except ModelError as error:
        raise QnnError(f"{path}: {error}; quantize the model again") from None
    return quantized.eval()


def source(path: str | Path) -> ModelSource | None:
    """Where the model of a file came from, if the file says so; raises as ``load`` does."""
    texts = _read(Path(path)).texts
    if not texts.get("architecture"):
        return None
    return ModelSource(texts["architecture"], texts.get("checkpoint") or None)


def _model(plan, tensors):
    """The network of a plan with the numbers of a file, which must be of its names and shapes."""
    # A plan may name any size, and a file has no more than its own.
    held = sum(tensor.numel() for tensor in tensors.values())
    for conv in plan.convs:
        if prod(conv.weight_shape) > held:
            raise ModelError(f"its tensors and its plan disagree on layer '{conv.name}'")
    # Without memory first.
    with torch.device("meta"):
        wanted = QuantizedModel(plan).state_dict()
    kinds = {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}
    for name in wanted.keys() | kinds.keys():
        if name not in wanted or kinds.get(name) != (wanted[name].dtype, wanted[name].shape):
            raise ModelError(f"its tensor '{name}' and its plan disagree")
    quantized = QuantizedModel(plan)
    quantized.load_state_dict(tensors)
    return quantized


def _read(path):
    try:
        return read_tensors(path)
    except FileNotFoundError:
        raise QnnError(f"{path}: no such file; write one with 'qnn quantize'") from None
    except (TensorFileError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise QnnError(
            f"{path}: cannot be read as a quantized model: {reason}; copy or quantize it again"
        ) from None
