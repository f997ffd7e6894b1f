"""Ways to put a network's weights on their grids, behind one signature."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from qnn.quant import pow2


@dataclass(frozen=True, eq=False)
class Weights:
    """One layer's weights and their grid.

    Members
    -------
    w : (outputs, ...) float, BatchNorm folded
    exponent : (outputs,) integers
    bits, terms : the format, as in ``qnn.quant.pow2``
    """

    w: Tensor
    exponent: Tensor
    bits: int
    terms: int = 1


# A differentiable distance from the float network's answers, when the named layers have the given
# (outputs, ...) weights. A method that needs no data ignores it.
Loss = Callable[[Mapping[str, Tensor]], Tensor]

# Returns signed indices, (terms, outputs, ...) int8, of every layer that it is given.
Rounding = Callable[[Mapping[str, Weights], Loss | None], dict[str, Tensor]]


def round_nearest(layers: Mapping[str, Weights], loss: Loss | None = None) -> dict[str, Tensor]:
    """Round each weight by itself to the nearest value of its grid."""
    return {
        name: pow2.nearest(layer.w, layer.exponent, layer.bits, layer.terms)
        for name, layer in layers.items()
    }


ROUNDINGS: dict[str, Rounding] = {"nearest": round_nearest}


def rounding(name: str) -> Rounding:
    """The method called ``name``.

    Raises
    ------
    ValueError
        No method has that name.
    """
    if name not in ROUNDINGS:
        raise ValueError(f"rounding must be one of {', '.join(ROUNDINGS)}, not '{name}'")
    return ROUNDINGS[name]
