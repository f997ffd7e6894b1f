"""BatchNorm: a normalisation with the statistics of training, one for each channel."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.ops.operator import FloatOperator
from qnn.ir.shape import Shape


@dataclass(frozen=True, eq=False)
class Statistics:
    """``(x - mean) / sqrt(var + eps) * gamma + beta``, each tensor (channels,)."""

    gamma: Tensor
    beta: Tensor
    mean: Tensor
    var: Tensor
    eps: float

    def of(self, channels: tuple[int, ...]) -> "Statistics":
        """Those of the channels alone."""
        place = list(channels)
        return Statistics(*(each[place] for each in self._numbers), self.eps)

    def equals(self, other: "Statistics") -> bool:
        """Whether all numbers are those of ``other``."""
        pairs = zip(self._numbers, other._numbers, strict=True)
        return self.eps == other.eps and all(torch.equal(*pair) for pair in pairs)

    @property
    def _numbers(self):
        return self.gamma, self.beta, self.mean, self.var

    @property
    def factor(self) -> Tensor:
        """What each channel is multiplied by, (channels,) float64."""
        return self.gamma.double() / (self.var.double() + self.eps).sqrt()

    def normalised(self, x: Tensor) -> Tensor:
        """The normalisation of (batch, channels, height, width)."""
        # Not in training mode: the statistics are given, and stay.
        return F.batch_norm(x, self.mean, self.var, self.gamma, self.beta, eps=self.eps)

    @staticmethod
    def of_affine(factor: Tensor, shift: Tensor) -> "Statistics":
        """The normalisation that is ``x * factor + shift``, of (channels,) each."""
        # Of variance 1, and no eps that would change it.
        zeros, ones = torch.zeros(len(factor)), torch.ones(len(factor))
        return Statistics(factor.float(), shift.float(), zeros, ones, 0.0)

    def then(self, other: "Statistics") -> "Statistics":
        """This normalisation and another one of its results, as one."""
        factor = other.factor
        beta = (self.beta.double() - other.mean.double()) * factor + other.beta.double()
        return replace(self, gamma=(self.gamma.double() * factor).float(), beta=beta.float())


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchNorm(FloatOperator):
    """A normalisation that no convolution has taken in yet."""

    kind = "batchnorm"

    statistics: Statistics

    def selected(self, channels: tuple[int, ...], inputs: tuple[str, ...]) -> "BatchNorm":
        return replace(self._fewer(channels, inputs), statistics=self.statistics.of(channels))

    def is_taken_by(self, source: FloatOperator) -> bool:
        # A layer, or a normalisation that stands alone.
        return source.learned or source.normalises

    def computes_as(self, other: FloatOperator) -> bool:
        return isinstance(other, BatchNorm) and self.statistics.equals(other.statistics)

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return sources[0]

    def evaluate(self, x: Tensor) -> Tensor:
        return self.statistics.normalised(x)
