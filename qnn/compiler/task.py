"""An instruction that still has to be told where its weights and its table are."""

from dataclasses import dataclass

from hw.spec.isa.encoding import Instruction

Key = tuple[str, int]  # of weights: a layer, and the number of a group of its channels


@dataclass(frozen=True, eq=False)
class Task:
    """One instruction; a convolution names its weights.

    The weights of all tasks with the same ``hold`` are on chip at a time, because they come again.
    """

    instruction: Instruction
    weights: Key | None = None
    hold: tuple[int, ...] | None = None
