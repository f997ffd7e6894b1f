"""Nearest: each weight by itself."""

from dataclasses import dataclass

from qnn.quant.rounding.checkpoint import Checkpoint
from qnn.quant.rounding.problem import Problem, Progress, Rounded


@dataclass(frozen=True)
class Nearest:
    """Options of ``nearest``: none."""


def nearest(
    problem: Problem,
    options: Nearest,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Rounded:
    """Round each weight to the nearest value of its grid; a tie goes away from zero."""
    return Rounded({name: layer.nearest() for name, layer in problem.layers.items()})
