"""A histogram of a tensor's values that grows with them, for calibration over many batches."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

# A bin is then 1/8192 of the range: 64 bins for each step of 8 bits, and 128 KiB a tensor.
BINS = 1 << 13  # on each side of zero
LEAST_REACH = -126  # of a tensor of zeros: wherever float32 goes, more values widen it
# In a processor's cache: a whole activation at a time takes several times as long.
PART = 1 << 18  # values that are counted at a time


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of values, in even bins between -2**reach and 2**reach.

    Members
    -------
    reach : exponent of the range
    counts : (2 * BINS,) int64; zeros are not counted, they are exact in every format
    zeros : how many
    least, most : of all values
    """

    reach: int
    counts: Tensor
    zeros: int
    least: float
    most: float

    @staticmethod
    def of(x: Tensor) -> "Histogram":
        """The histogram of one tensor.

        Raises
        ------
        ValueError
            The tensor is empty, or a value is not finite.
        """
        flat = x.detach().flatten()
        if not flat.numel():
            raise ValueError("Histogram needs at least one value, not an empty tensor")
        least, most = (float(limit) for limit in torch.aminmax(flat))
        if not (math.isfinite(least) and math.isfinite(most)):
            raise ValueError("Histogram needs finite values, not NaN or infinity")
        # The range is a power of two, so that ranges of two batches differ by whole bins and add
        # exactly.
        greatest = max(-least, most)
        # frexp gives a mantissa below 1: every value lies strictly inside the range.
        reach = max(LEAST_REACH, math.frexp(greatest)[1]) if greatest else LEAST_REACH
        scale = BINS * 2.0**-reach
        # Float32 times such a power of two is exact; below 1, small values might vanish.
        exact = flat.dtype == torch.float32 and 1 <= scale < 2.0**100
        counts = torch.zeros(2 * BINS, dtype=torch.int64, device=flat.device)
        zeros = 0
        for part in flat.split(PART):
            scaled = part * scale if exact else part.to(torch.float64) * scale
            places = scaled.floor_().to(torch.int32).add_(BINS)
            counts += torch.bincount(places, minlength=2 * BINS)
            zeros += int((part == 0).count_nonzero())
        counts = counts.cpu()
        # Zero falls into the first bin above it, whose centre would charge it half a bin of error.
        counts[BINS] -= zeros
        return Histogram(reach, counts, zeros, least, most)

    @property
    def width(self) -> float:
        """The width of one bin."""
        return 2.0**self.reach / BINS

    @property
    def centres(self) -> Tensor:
        """The middle of each bin, (2 * BINS,) float64."""
        return (torch.arange(-BINS, BINS, dtype=torch.float64) + 0.5) * self.width

    def __add__(self, other: "Histogram") -> "Histogram":
        """The counts of both histograms, over the wider range."""
        reach = max(self.reach, other.reach)
        return Histogram(
            reach,
            self._widened(reach) + other._widened(reach),
            self.zeros + other.zeros,
            min(self.least, other.least),
            max(self.most, other.most),
        )

    def mapped(self, function: Callable[[Tensor], Tensor]) -> "Histogram":
        """What a function of (batch, channels, height, width) gives of the values, bin by bin."""
        used = self.counts.nonzero().flatten()
        # Of the edges too: they may give the least and the greatest result.
        edges = torch.tensor([self.least, self.most, 0.0], dtype=torch.float64)
        x = torch.cat([self.centres[used].clamp(self.least, self.most), edges])
        counts = torch.cat([self.counts[used], torch.tensor([0, 0, self.zeros])])
        y = function(x[None, None, None])[0, 0, 0]
        kept = y if self.zeros else y[:-1]
        found = Histogram.of(kept)
        places = (kept * (BINS * 2.0**-found.reach)).floor().to(torch.int64) + BINS
        weights, nonzero = counts[: len(kept)], kept != 0
        filled = torch.zeros_like(found.counts).index_add_(0, places[nonzero], weights[nonzero])
        return replace(found, counts=filled, zeros=int(weights[~nonzero].sum()))

    def by_value(self) -> "Histogram | None":
        """Each value, none of which is negative, as often as it is great; None where all are 0."""
        places = self.counts.nonzero().flatten()
        if not len(places):
            return None
        # The middle of each bin, in halves of a bin.
        counts = self.counts * (2 * torch.arange(-BINS, BINS) + 1).clamp(min=0)
        least = max(self.least, (int(places[0]) - BINS + 0.5) * self.width)
        return Histogram(self.reach, counts, 0, least, self.most)

    def without(self, part: "Histogram") -> "Histogram | None":
        """What is left of the whole that ``part`` was added to; None where that is zeros alone."""
        counts = self.counts - part._widened(self.reach)
        places = counts.nonzero().flatten()
        if not len(places):
            return None
        # The bins' outer edges: what each value was is not known any more.
        least = (int(places[0]) - BINS) * self.width
        most = (int(places[-1]) + 1 - BINS) * self.width
        zeros = self.zeros - part.zeros
        if zeros:
            least, most = min(least, 0.0), max(most, 0.0)
        return Histogram(self.reach, counts, zeros, least, most)

    def _widened(self, reach):
        """Counts over a range that is 2**(reach - self.reach) times as wide."""
        # An arithmetic shift keeps the signs apart: bin -1, the first below zero, stays -1. By 62
        # all bins have long fallen into the two beside zero; shifts by 64 and more are undefined.
        places = torch.arange(-BINS, BINS) >> min(reach - self.reach, 62)
        return torch.zeros_like(self.counts).index_add_(0, places + BINS, self.counts)
