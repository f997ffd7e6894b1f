"""The interface that every operator of the float graph answers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatOperator(ABC):
    """One tensor of a float graph and how it is computed.

    Members
    -------
    kind : the operator's name in text
    name : of the tensor, and of the operator
    inputs : names of the tensors that it reads
    shape : (channels, height, width) of the result for one image; vectors have height and width 1
    """

    kind: ClassVar[str]

    name: str
    inputs: tuple[str, ...] = ()
    shape: Shape

    @abstractmethod
    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        """The shape that the result has over operands of the shapes ``sources``."""

    @abstractmethod
    def evaluate(self, *operands: Tensor) -> Tensor:
        """The result for operands (batch, channels, height, width)."""

    # From here on each has an answer that is safe: an operator that says nothing is never moved
    # past.
    def details(self) -> list[str]:
        """What its text says beside its operands and shape."""
        return []

    @property
    def shares_type(self) -> bool:
        """Whether every result is one value of an operand, so that all have one type."""
        return False

    @property
    def learned(self) -> bool:
        """Whether it has weights that training gave it."""
        return False

    @property
    def multiplies(self) -> bool:
        """Whether its result is a product of its two operands."""
        return False

    @property
    def takes_clamp(self) -> bool:
        """Whether it may bound its results itself, by ``low`` and ``high``."""
        return False

    @property
    def passes_factor(self) -> bool:
        """Whether a positive factor of its operand is one of its result."""
        return False

    def passes_clamp(self, low: float | None, high: float | None) -> bool:
        """Whether to clamp its operand gives what to clamp its result does."""
        return False

    def never_negative(self, operands: bool) -> bool:
        """Whether no result is negative; ``operands`` tells the same of all that it reads."""
        # True of all that only selects, averages or sums what it reads.
        return operands

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape))
        head = f"{self.name} = {self.kind}({', '.join(self.inputs)}) {shape}"
        return " ".join([head, *self.details()])


def options(values: dict[str, Any], usual: dict[str, Any]) -> list[str]:
    """``name=value`` of each of ``values`` that is not what ``usual`` says."""
    return [
        f"{name}={value}".replace(" ", "")
        for name, value in values.items()
        if name not in usual or value != usual[name]
    ]
