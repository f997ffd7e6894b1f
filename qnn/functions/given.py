"""GivenQuantizer: one that a network brings along, as a function of one variable."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qnn.functions.elementwise import IDENTITY, Elementwise, applied_to
from qnn.quant.qtype import QType

# How each rounding is spelt in PyTorch's calls, of a number in steps.
ROUNDINGS: Mapping[str, Callable[[Elementwise], Elementwise]] = {
    "EVEN": lambda t: applied_to("round.default", [t]),
    "UP": lambda t: applied_to("floor.default", [_plus(t, 0.5)]),
    "FLOOR": lambda t: applied_to("floor.default", [t]),
    "CEIL": lambda t: applied_to("ceil.default", [t]),
    "ZERO": lambda t: applied_to("trunc.default", [t]),
    # Halves below 0 go up, others to even numbers, as AMD's DPU has it.
    "DPU": lambda t: _sum(
        applied_to("floor.default", [_plus(applied_to("clamp.default", [t, None, 0.0]), 0.5)]),
        applied_to("round.default", [applied_to("clamp.default", [t, 0.0, None])]),
    ),
    # Of one bit: 1 and -1, and 0 counts as positive.
    "SIGN": lambda t: _plus(_times(applied_to("ge.Scalar", [t, 0.0]), 2.0), -1.0),
}
# Numbers at which any two of the roundings differ.
PROBES = (-2.5, -1.75, -1.5, -1.25, -0.5, -0.25, 0.0, 0.25, 0.5, 1.25, 1.5, 1.75, 2.5)


@dataclass(frozen=True)
class GivenQuantizer:
    """``(clamp(round(x / scale + zero_point), least, most) - zero_point) * scale``.

    Members
    -------
    bits : of the stored integer
    rounding : of ``ROUNDINGS``
    fault : why this quantizer has no grid of ours, and what to do; empty: it may have one
    layer : of the user's model, for what is said of it
    """

    scale: float
    zero_point: int
    least: int
    most: int
    bits: int
    signed: bool
    rounding: str
    fault: str = ""
    layer: str = field(default="", compare=False)

    def __call__(self, x: Tensor) -> Tensor:
        """The reals that ``x`` is quantized to, in its dtype."""
        return self.function(x)

    @property
    def function(self) -> Elementwise:
        """The quantizer in PyTorch's calls."""
        return self.scaled(self.rounded(self.steps(IDENTITY)))

    def steps(self, x: Elementwise) -> Elementwise:
        """``x`` in steps of the scale, the zero point added."""
        divided = x if self.scale == 1 else applied_to("div.Tensor", [x, self.scale])
        return _plus(divided, float(self.zero_point))

    def rounded(self, steps: Elementwise) -> Elementwise:
        """The stored integers of numbers in steps."""
        whole = ROUNDINGS[self.rounding](steps)
        return applied_to("clamp.default", [whole, float(self.least), float(self.most)])

    def scaled(self, whole: Elementwise) -> Elementwise:
        """The reals of stored integers."""
        return _times(_plus(whole, float(-self.zero_point)), self.scale)

    @property
    def exponent(self) -> int | None:
        """f of the scale 2**-f; None where the scale is no power of two."""
        mantissa, exponent = math.frexp(self.scale)
        return 1 - exponent if mantissa == 0.5 else None

    @property
    def low(self) -> int:
        """The least result, in steps."""
        return self.least - self.zero_point

    @property
    def high(self) -> int:
        """The greatest result, in steps."""
        return self.most - self.zero_point

    @property
    def type(self) -> QType:
        """The type of the results.

        Raises
        ------
        ValueError
            No type has that range; the scale must be a power of two.
        """
        # A type counts from 0, so that the zero point is a matter of its range.
        half = 1 << (self.bits - 1)
        zero = self.zero_point if self.signed else self.zero_point - half
        if not self.signed and self.zero_point == 0:
            return QType(max(self.bits, 2), False, self.exponent)
        return QType(max(self.bits, 2), True, self.exponent, zero)

    def __str__(self) -> str:
        return f"{self.low}..{self.high}*{self.scale:g},{self.rounding}"


def rounding_of(round_: Callable[[Tensor], Tensor]) -> str | None:
    """Which of ``ROUNDINGS`` a function of tensors is, by what it makes of ``PROBES``."""
    x = torch.tensor(PROBES)
    found = round_(x)
    same = (name for name, make in ROUNDINGS.items() if torch.equal(make(IDENTITY)(x), found))
    return next(same, None)


def _plus(x, number):
    return x if number == 0 else applied_to("add.Tensor", [x, number, 1])


def _sum(one, other):
    return applied_to("add.Tensor", [one, other, 1])


def _times(x, number):
    return x if number == 1 else applied_to("mul.Tensor", [x, number])
