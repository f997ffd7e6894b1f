"""Call: one operator call of an exported program, as the readers of operators see it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.frontend.ops.operator import FloatOperator
from qnn.ir.shape import Shape
from qnn.ir.window import Pair


@dataclass(frozen=True)
class Call:
    """One operator call of the exported program.

    Members
    -------
    name : of the result
    arguments : by the names of its schema; activations are names of nodes, weights are tensors
    nodes : what was read so far
    result_shape : gives the result's shape, or raises that it is none of ours
    """

    name: str
    arguments: Mapping[str, Any]
    nodes: Mapping[str, FloatOperator]
    result_shape: Callable[[], Shape]

    def __getitem__(self, key: str) -> Any:
        return self.arguments[key]

    def refuse(self, needs: str, got: str, do: str) -> ModelError:
        """The error that this layer is not supported."""
        return ModelError(f"layer '{self.name}' needs {needs}, not {got}; {do}")

    @property
    def shape(self) -> Shape:
        """The result's shape; raises as ``result_shape`` does."""
        return self.result_shape()

    def source(self, key: str = "input") -> FloatOperator:
        """The node behind an activation operand."""
        # Schemas call the first operand input or self.
        value = self.arguments.get(key, self.arguments.get("self"))
        if not isinstance(value, str):
            raise self.refuse(
                "operands computed from the input", "a constant", "fold it into a Conv2d or Linear"
            )
        return self.nodes[value]

    def weight(self, key: str) -> Tensor | None:
        """A weight operand: float32, finite."""
        value = self.arguments[key]
        if value is None:
            return None
        if not isinstance(value, Tensor):
            raise self.refuse(f"a constant {key}", "one computed from the input", "use a parameter")
        if not bool(torch.isfinite(value).all()):
            raise ModelError(
                f"layer '{self.name}': its {key} holds NaN or infinity; train or load it again"
            )
        # Detached: the float graph outlives the model, and is never trained.
        return value.detach().to(torch.float32).contiguous()

    def pair(self, key: str, default: Pair = (1, 1)) -> Pair:
        """An argument that is one number for both directions, a list of one or two, or empty."""
        value = self.arguments[key]
        if isinstance(value, int):
            return (value, value)
        # One number stands for both: it is the first and the last.
        return (value[0], value[-1]) if value else default


# Reads a call: a node, or the name of the node that the result is equal to.
Reader = Callable[[Call], FloatOperator | str]
