"""The interface that every operator of the float graph answers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from torch import Tensor

from qnn.functions.elementwise import Elementwise
from qnn.functions.given import GivenQuantizer
from qnn.ir.shape import Shape

Reordered = tuple["FloatOperator", tuple[int, ...] | None]
Gain = tuple[float, ...]  # a factor of each channel of a tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatOperator(ABC):
    """One tensor of a float graph and how it is computed.

    Members
    -------
    kind : the operator's name in text
    given : the quantizer of the network's own that it applies last; None: it has none
    name : of the tensor, and of the operator
    inputs : names of the tensors that it reads
    shape : (channels, height, width) of the result for one image; vectors have height and width 1
    """

    kind: ClassVar[str]
    given: ClassVar[GivenQuantizer | None] = None

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
    def weighs(self) -> bool:
        """Whether its results are sums of its operand times weights, and what is added to them."""
        return False

    @property
    def multiplies(self) -> bool:
        """Whether its result is a product of its two operands."""
        return False

    @property
    def added_places(self) -> int | None:
        """Binary places that its fixed weights add to its operands'; None: they are not fixed."""
        return None

    @property
    def only_weighs(self) -> bool:
        """Whether the result is sums by constant weights, and nothing else but an operand."""
        return False

    @property
    def takes_skip(self) -> bool:
        """Whether its epilogue can add another tensor to the result."""
        return False

    @property
    def normalises(self) -> bool:
        """Whether it scales each channel for itself, as a normalisation that stands alone."""
        return False

    @property
    def passes_factor(self) -> bool:
        """Whether a positive factor of its operand is one of its result."""
        return False

    @property
    def passes_norm(self) -> bool:
        """Whether to normalise its operand gives what to normalise its result does."""
        return False

    @property
    def interleaves(self) -> bool:
        """Whether its results are the values of its operands, at other places of their channels."""
        return False

    @property
    def becomes_skip(self) -> bool:
        """Whether a layer's epilogue will compute it, and then applies what is behind it."""
        return False

    def passes_clamp(self, low: float | None, high: float | None) -> bool:
        """Whether to clamp its operand gives what to clamp its result does."""
        return False

    @property
    def order(self) -> tuple[int, ...] | None:
        """The channels of its operand that it gives, where it gives whole channels alone."""
        return None

    @property
    def joins(self) -> bool:
        """Whether it gives the channels of its operands, one after the other."""
        return False

    def of_outputs(self, channels: tuple[int, ...]) -> Self | None:
        """This operator with those output channels alone; None: it cannot leave any out."""
        return None

    def unordered(self, order: tuple[int, ...], inputs: tuple[str, ...]) -> Reordered | None:
        """This operator on an only operand that has its channels in another order.

        Parameters
        ----------
        order : the channel of ``inputs`` that each channel of its operand is, each one once

        Returns
        -------
        The operator on ``inputs``, and the channel of its result that each channel of this one is,
        None if they are the same; or None where there is no such operator.
        """
        inverse = tuple(sorted(range(len(order)), key=order.__getitem__))
        moved = self.selected(inverse, inputs) if len(self.inputs) == 1 else None
        return None if moved is None else (moved, order)

    def selected(self, channels: tuple[int, ...], inputs: tuple[str, ...]) -> Self | None:
        """This operator on those ``channels`` of each operand, which ``inputs`` have alone.

        None: a channel of its result is not computed from that channel of each operand.
        """
        return None

    def moved(self, gains: tuple[Gain, ...]) -> Gain | None:
        """The gain of its result over operands that have ``gains``; None where it has no one."""
        # Channels that stay what they are keep their own, if those of all operands agree.
        alike = all(gain == gains[0] for gain in gains)
        return gains[0] if self.shares_type and alike else None

    def without_gain(self, gains: tuple[Gain | None, ...]) -> Self | None:
        """The operator that gives the same over operands that have ``gains``; None: there is none.

        ``gains`` has None for an operand that stays as it was.
        """
        return None

    def adds(self, name: str) -> bool:
        """Whether ``name`` is part of a sum as it is, or with weights of the architecture."""
        return False

    def sliced(self, part: "FloatOperator", source: Shape) -> Self | None:
        """This operator computing ``part`` alone, a slice of it, over an operand of that shape."""
        return None

    @property
    def as_function(self) -> Elementwise | None:
        """What it computes of each value alone; None where a result takes more than one value."""
        return None

    def computes_as(self, other: "FloatOperator") -> bool:
        """Whether it works value by value, and makes of each value what ``other`` does."""
        function = self.as_function
        return function is not None and function == other.as_function

    @property
    def is_curved(self) -> bool:
        """Whether it computes of each value what needs a table."""
        return False

    def moves_before(self, source: "FloatOperator") -> bool:
        """Whether it gives the same before its operand ``source`` as behind it."""
        return False

    def is_taken_by(self, source: "FloatOperator") -> bool:
        """Whether the layer that computes its operand ``source`` would apply it, too."""
        return source.becomes_skip or source.activated_by(self) is not None

    # What a function commutes with lets it join the layer before.
    def passes_function(self, function: Elementwise) -> bool:
        """Whether ``function`` of its operand gives what ``function`` of its result does."""
        return False

    def activated_by(self, activation: "FloatOperator") -> Self | None:
        """The operator that applies an elementwise one to its result itself; None: it cannot."""
        return None

    # Calibration looks at sums, which the fused operator does not show.
    def unfused(self) -> "tuple[FloatOperator, ...]":
        """The operators that compute the same, with the sum before a function on its own."""
        return (self,)

    def never_negative(self, operands: bool) -> bool:
        """Whether no result is negative; ``operands`` tells the same of all that it reads."""
        # True of all that only selects, averages or sums what it reads.
        return operands

    def _fewer(self, channels, inputs):
        """The same, channel by channel, on as many channels."""
        return replace(self, inputs=inputs, shape=(len(channels), *self.shape[1:]))

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


def sum_of(name: str) -> str:
    """What the sum is called that the function in the operator ``name`` is applied to."""
    # No module's path has a blank in it.
    return f"{name} sum"
