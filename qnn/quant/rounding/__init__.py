"""Ways to put a trained network's weights on their grids, behind one signature."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from qnn.quant.rounding.adaround import AdaRound, adaround
from qnn.quant.rounding.checkpoint import Checkpoint
from qnn.quant.rounding.discquant import DiscQuant, discquant
from qnn.quant.rounding.gptq import Gptq, gptq
from qnn.quant.rounding.latent import Latent, latent
from qnn.quant.rounding.nearest import Nearest, nearest
from qnn.quant.rounding.problem import (
    Answers,
    Batch,
    LayerWeights,
    Problem,
    Progress,
    Rounded,
    Teacher,
)

__all__ = [
    "ROUNDINGS",
    "AdaRound",
    "Answers",
    "Batch",
    "Checkpoint",
    "DiscQuant",
    "Gptq",
    "Latent",
    "LayerWeights",
    "Method",
    "Nearest",
    "Problem",
    "Progress",
    "Rounded",
    "Teacher",
    "rounding",
]


@dataclass(frozen=True)
class Method:
    """A way to round: a frozen dataclass of options, and what runs.

    ``run(problem, options, progress, checkpoint)`` gives indices of every layer of the problem.
    """

    name: str
    options: type
    run: Callable[[Problem, Any, Progress | None, Checkpoint | None], Rounded]

    def choose(self, options: Mapping[str, Any] | object | None = None) -> Any:
        """The options of this method: given as such, by name, or None for the defaults.

        Raises
        ------
        ValueError
            There is none of such a name, or its value is of no use.
        TypeError
            They are another method's.
        """
        if options is None:
            return self.options()
        if isinstance(options, self.options):
            return options
        if not isinstance(options, Mapping):
            raise TypeError(
                f"{self.name} needs options as a dict or a {self.options.__name__}, not {options}"
            )
        # In the order of the class, in which the documentation lists them.
        known = [field.name for field in fields(self.options)]
        for name in options:
            if name not in known:
                allowed = ", ".join(known) if known else "none"
                raise ValueError(f"{self.name} has no option '{name}'; it has {allowed}")
        return self.options(**options)


ROUNDINGS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("nearest", Nearest, nearest),
        Method("discquant", DiscQuant, discquant),
        Method("adaround", AdaRound, adaround),
        Method("gptq", Gptq, gptq),
        Method("latent", Latent, latent),
    )
}


def rounding(name: str, beside: Sequence[str] = ()) -> Method:
    """The method called ``name``.

    Parameters
    ----------
    beside : names that the caller takes too, for the text

    Raises
    ------
    ValueError
        No method has that name.
    """
    if name not in ROUNDINGS:
        known = ", ".join((*beside, *ROUNDINGS))
        raise ValueError(f"rounding must be one of {known}, not '{name}'")
    return ROUNDINGS[name]
