"""Affine: arithmetic with constants, a factor and a shift of each channel."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator, options
from qnn.functions.elementwise import IDENTITY, Elementwise, applied_to
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Affine(FloatOperator):
    """``x * factor + shift``.

    Members
    -------
    factor, shift : (channels,) float64
    """

    kind = "affine"

    factor: Tensor
    shift: Tensor

    @property
    def is_uniform(self) -> bool:
        """Whether all channels have the same factor and shift."""
        return all(bool((each == each[0]).all()) for each in (self.factor, self.shift))

    @property
    def as_function(self) -> Elementwise:
        found = IDENTITY
        # What changes nothing is no call.
        if bool((self.factor != 1).any()):
            found = applied_to("mul.Tensor", [found, _constant(self.factor)])
        if bool(self.shift.any()):
            found = applied_to("add.Tensor", [found, _constant(self.shift), 1])
        return found

    # A shift would be scaled too.
    @property
    def passes_factor(self) -> bool:
        return not bool(self.shift.any())

    def selected(self, channels: tuple[int, ...], inputs: tuple[str, ...]) -> "Affine":
        factor, shift = self.factor[list(channels)], self.shift[list(channels)]
        return replace(self._fewer(channels, inputs), factor=factor, shift=shift)

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return sources[0]

    def evaluate(self, x: Tensor) -> Tensor:
        # In the dtype of the values, as PyTorch takes numbers.
        return torch.addcmul(_along(self.shift, x), x, _along(self.factor, x))

    def details(self) -> list[str]:
        values = {"factor": _text(self.factor), "shift": _text(self.shift)}
        return options(values, {"factor": "1", "shift": "0"})


def affine_of(
    name: str, source: FloatOperator, factor: Tensor | float, shift: Tensor | float
) -> Affine:
    """``source * factor + shift``, of one number for all channels or one for each."""
    channels = source.shape[0]
    factors, shifts = (
        torch.as_tensor(given, dtype=torch.float64).reshape(-1).expand(channels).contiguous()
        for given in (factor, shift)
    )
    return Affine(
        name=name, inputs=(source.name,), shape=source.shape, factor=factors, shift=shifts
    )


def _constant(values):
    return float(values[0]) if bool((values == values[0]).all()) else tuple(values.tolist())


def _along(values, x):
    return values.to(x.dtype)[:, None, None]


def _text(values):
    found = _constant(values)
    return f"{found:g}" if isinstance(found, float) else f"{len(found)}_numbers"
