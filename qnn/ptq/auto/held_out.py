"""What a quantized network loses on images that nothing was fitted to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import unfinished
from qnn.ir.shape import from_blocks, usual_axes
from qnn.nn.model import QuantizedModel
from qnn.ptq.data import chunks
from qnn.ptq.sensitivity import divergence
from qnn.tasks.kinds import TaskKind
from qnn.tasks.losses import spread

# A regression's own error is not known without labels: that of a model of R2 0.9 is a tenth of the
# variance.
OWN_ERROR = 0.1
# Of answers that a float network held for nearly as likely, its own is right more often than the
# other: of a DenseNet of 48 % on CIFAR-10, 7.4 % of answers changed on 10,000 training images that
# it had not seen, 0.9 % were lost, and its own sureness would have said 0.3 %.
LEAST_COST = 0.1  # of a changed answer
# What may be lost without a word: points of accuracy, or percent of squared error. Of a network
# with both, each output may lose its own: what values lose is then told as so many points.
POINTS, PERCENT = 0.5, 2.0


@dataclass(frozen=True)
class Loss:
    """What is lost against the float network.

    Members
    -------
    lost : of classes, points of accuracy: a changed answer costs how much surer the float network
        was of its own, and ``LEAST_COST`` at least; of values, percent by which the task's own
        squared error grows, beside classes as many points as ``PERCENT`` are ``POINTS``. Of
        several outputs the most
    error : the standard error of ``lost``, as the images are a sample; None: one image has none
    distance : KL divergence of answers, or the squared error over the variance, of all outputs
    """

    lost: float
    error: float | None
    distance: float

    def __str__(self) -> str:
        return f"{self.lost:.2f}" if self.error is None else f"{self.lost:.2f} +- {self.error:.2f}"


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Images with the float network's answers, to compare quantized networks on.

    Members
    -------
    images : (count, ...) of each input, what the float model takes
    answers : the float network's, of each output
    kinds : what each output is for
    own_errors : the float network's squared error in the task of each output, where it is of values
    """

    images: tuple[Tensor, ...]
    answers: tuple[Tensor, ...] = field(repr=False)
    kinds: tuple[TaskKind, ...]
    own_errors: tuple[float, ...]

    @staticmethod
    @torch.no_grad()
    def of(graph: FloatGraph, images: tuple[Tensor, ...], kinds: Sequence[TaskKind]) -> "HeldOut":
        """The images with what ``graph`` gives for them."""
        # Scores before a last softmax, of which KL is taken with its own.
        parts = [unfinished(graph, *part) for part in chunks([images])]
        answers = tuple(torch.cat(each) for each in zip(*parts, strict=True))
        source = graph.inputs[0]
        # In the axes of the user, as answers are.
        given = from_blocks(images[0], source.axes or usual_axes(source.shape))
        each = zip(answers, kinds, strict=True)
        own_errors = tuple(_own_error(given, wanted.double(), kind) for wanted, kind in each)
        return HeldOut(images, answers, tuple(kinds), own_errors)

    @property
    def unit(self) -> str:
        """Of what is lost."""
        return "points" if self.classifies else "%"

    @property
    def classifies(self) -> bool:
        """Whether any output is of classes."""
        return any(kind.classifies for kind in self.kinds)

    @torch.no_grad()
    def loss(self, quantized: QuantizedModel) -> Loss:
        """What ``quantized`` loses, of pixels or reals as it takes them."""
        parts = [quantized.unfinished(*part) for part in chunks([self.images])]
        found = tuple(torch.cat(each) for each in zip(*parts, strict=True))
        worst, distance = (-math.inf, 0.0), 0.0
        of_each = zip(self.answers, found, self.kinds, self.own_errors, strict=True)
        for wanted, got, kind, own_error in of_each:
            got = got.reshape(wanted.shape)
            # Of each image, so that the spread over images gives the standard error.
            lost = 100 * _lost(wanted.double(), got.double(), kind, own_error)
            if self.classifies and not kind.classifies:
                lost *= POINTS / PERCENT
            error = float(lost.std()) / math.sqrt(len(lost)) if len(lost) > 1 else None
            worst = max(worst, (float(lost.mean()), error))
            distance += float(divergence(wanted, got, kind))
        return Loss(*worst, distance)


def _lost(wanted, got, kind, own_error) -> Tensor:
    """The share that is lost of each image, (images,)."""
    if kind.competes:
        sure = wanted.softmax(1)
        answer = got.argmax(1, keepdim=True)
        lost = sure.amax(1) - sure.gather(1, answer)[:, 0]
        lost = torch.where(wanted.argmax(1) == answer[:, 0], 0.0, lost.clamp(min=LEAST_COST))
        return lost.reshape(len(lost), -1).mean(1)
    if kind.classifies:
        return _of_coins(wanted, got).reshape(len(wanted), -1).mean(1)
    return (got - wanted).square().reshape(len(wanted), -1).mean(1) / own_error


def _own_error(given, wanted, kind) -> float:
    if kind is TaskKind.RECONSTRUCTION and given.numel() == wanted.numel():
        own = (given.reshape(wanted.shape).double() - wanted).square().mean()
        if own > 0:
            return float(own)
    return OWN_ERROR * spread(wanted)


def _of_coins(wanted, got):
    """What each changed answer of two costs: how far the float one was from even."""
    probable = bool(((wanted >= 0) & (wanted <= 1)).all())
    sure = wanted if probable else wanted.sigmoid()
    limit = 0.5 if probable else 0.0
    changed = (got > limit) != (wanted > limit)
    return torch.where(changed, (2 * sure - 1).abs().clamp(min=LEAST_COST), 0.0)
