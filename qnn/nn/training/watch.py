"""What the last steps gave, and the line that ends a run that went wrong."""

import math
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from qnn.errors import ModelError


class Diverged(ModelError):
    """Training left numbers that nothing can go on from; the model is as it was before."""


@dataclass
class Tally:
    """Totals of a training run so far, which are saved with it.

    Members
    -------
    start : loss of the first step, which no update has changed
    seconds : in training
    right, seen : images of this epoch
    """

    start: float | None = None
    seconds: float = 0.0
    right: int = 0
    seen: int = 0

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


@dataclass
class LossWindow:
    """Losses and counts of the steps since the last look, on the device: a look waits for it.

    Parameters
    ----------
    guessing : entropy of guessing, which a loss may start below
    most : times its start that a loss may rise
    """

    tally: Tally
    guessing: float
    most: float
    rate: float
    losses: list[Tensor] = field(default_factory=list)
    rights: list[Tensor] = field(default_factory=list)
    images: int = 0

    def add(self, loss: Tensor, right: Tensor, images: int) -> None:
        """Take in one step."""
        self.losses.append(loss)
        self.rights.append(right)
        self.images += images

    def look(self, step: int) -> float | None:
        """The mean loss of the window, which ends before ``step``; None if the window is empty.

        Raises
        ------
        ModelError
            The first loss is NaN or infinite, before anything has learnt.
        Diverged
            A later one is, or the mean is far above its start.
        """
        if not self.losses:
            return None
        # One transfer for the whole window, and the only wait in it.
        losses = torch.stack(self.losses).tolist()
        first = step - len(losses)
        self.tally.right += int(torch.stack(self.rights).sum())
        self.tally.seen += self.images
        self.losses, self.rights, self.images = [], [], 0
        if self.tally.start is None:
            self.tally.start = losses[0]
        if not math.isfinite(self.tally.start):
            raise ModelError(
                f"train needs a finite loss at the start, not {self.tally.start:g}; look at what "
                f"the teacher answers, at the labels, and at a loss of your own"
            )
        for place, loss in enumerate(losses):
            if not math.isfinite(loss):
                raise self._end(first + place, loss)
        mean = sum(losses) / len(losses)
        # The mean, as single batches may be far off; the larger of the two, as a network that
        # starts from a trained one is allowed to be as bad as one that guesses.
        if mean > self.most * max(self.tally.start, self.guessing):
            raise self._end(step - 1, mean)
        return mean

    def _end(self, step, loss):
        return Diverged(
            f"train diverged at step {step}: the loss is {loss:.4g}, at the start it was "
            f"{self.tally.start:.4g}; the model stays as it was; lower rate ({self.rate:g}), raise "
            f"warm_up or set clip"
        )
