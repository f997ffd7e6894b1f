"""Training images that are not trained on: they judge whether a run ended better than it began."""

from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.tasks.lost import Lost

# The mean loss of fewer says too little: of a data set below ten times as many nothing is held out.
LEAST = 32


@dataclass(frozen=True)
class Judged:
    """The recipe's loss on images held out, of the model as it was given and as it was trained.

    Members
    -------
    images : held out
    before, after : mean losses, in evaluation
    lost_before, lost_after : against the teacher, as ``qnn.quantize`` tells what rounding loses;
        None without a teacher that gives scores
    unit : of what is lost, "points" or "%"
    """

    images: int
    before: float
    after: float
    lost_before: Lost | None = None
    lost_after: Lost | None = None
    unit: str = "points"

    @property
    def kept(self) -> bool:
        """Whether the trained model is kept: it is no worse than the given one."""
        return self.after <= self.before

    @property
    def lost(self) -> Lost | None:
        """What the model that is kept loses against the teacher."""
        return self.lost_after if self.kept else self.lost_before

    def warning(self, rate: float, last: float | None, on_grid: bool) -> str:
        """What is told of a model that is not kept, which was trained at ``rate``.

        Parameters
        ----------
        last : loss of the last steps, on the images that were trained on
        on_grid : whether the model is a quantized one
        """
        if last is not None and last < self.before:
            cure = "it learnt its own images: give more of them, augment them"
        else:
            cure = "take more steps"
        # Codes that rounding chose together are left one by one, while biases have no steps.
        alone = ", or let biases learn alone (grid_rate=0)" if on_grid else ""
        return (
            f"train ended worse than it began: the loss on {self.images} images held out went from "
            f"{self.before:.4g} to {self.after:.4g}; the model is kept as it was; {cure}, lower "
            f"rate ({rate:g}){alone}"
        )


def split(count: int, most: int) -> tuple[Tensor, Tensor]:
    """Places of the images to train on, and of those that are held out, (images,) int64 each.

    A tenth is held out, ``most`` at most, drawn with a fixed seed: data come class after class, or
    every tenth image is of one class.

    Parameters
    ----------
    count : of the training images
    """
    held = min(most, count // 10)
    everything = torch.arange(count)
    if held < LEAST:
        return everything, everything[:0]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    judging = order[:held].sort().values
    trained = torch.ones(count, dtype=torch.bool)
    trained[judging] = False
    return everything[trained], judging
