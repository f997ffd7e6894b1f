"""ATen's operators that give their operand in evaluation."""

import torch

from qnn.frontend.aten.call import Call


def identity(call: Call) -> str:
    """The operand, unless it is cast to another type."""
    source = call.source()
    # Integers have no other float types: a cast would change values in PyTorch alone.
    if call.arguments.get("dtype") not in (None, torch.float32):
        raise call.refuse("float32", f"{call['dtype']}", "leave the cast out")
    return source.name


def dropout(call: Call) -> str:
    """The operand: dropout does nothing in evaluation."""
    return call.source().name


OPERATORS = {
    "aten.dropout": dropout,
    "aten.feature_dropout": dropout,
    "aten.alpha_dropout": dropout,
    # Views and copies are alike here: tensors of a graph never change.
    "aten.clone": identity,
    "aten.contiguous": identity,
    "aten.alias": identity,
    "aten.detach": identity,
    "aten.to": identity,
    "aten._to_copy": identity,
}
