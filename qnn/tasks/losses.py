"""Losses that suit each task: distance from labels, and from another network's answers."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.tasks.kinds import VOID, TaskKind
from qnn.tasks.measures import LIMITS


@dataclass(frozen=True)
class TaskLoss:
    """What is lost against labels and against a teacher, float32 () each, means over the batch.

    Members
    -------
    kind : decides the loss. Classes lose cross-entropy and KL of the softmax; logits of their own
        the binary cross-entropy and the KL of a coin; values the squared error
    unit : of values, what the squared error is divided by: the variance of what is wanted
    """

    kind: TaskKind
    unit: float = 1.0

    def of_labels(self, outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """The loss against labels, in the form of ``labels_for``."""
        if self.kind.competes:
            outputs = outputs.reshape(*outputs.shape[:2], *labels.shape[1:])
            if self.kind is not TaskKind.PIXELS:
                return F.cross_entropy(outputs, labels, label_smoothing=smoothing)
            # A batch without a pixel of any class has nothing to learn, and a mean of none is NaN.
            if not (labels != VOID).any():
                return outputs.sum() * 0.0
            return F.cross_entropy(outputs, labels, ignore_index=VOID, label_smoothing=smoothing)
        outputs, labels = outputs.reshape(labels.shape), labels.to(outputs.dtype)
        if self.kind.classifies:
            # As of classes, a share of each label goes evenly to what it may be: two things here.
            wanted = labels * (1 - smoothing) + smoothing / 2
            return F.binary_cross_entropy_with_logits(outputs, wanted)
        return (outputs - labels).square().mean() / self.unit

    def right(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """How many samples of a batch are right, () float32; of several places the share counts.

        Of pixels those count that have a class; a sample without any counts as right.
        """
        if self.kind is TaskKind.PIXELS:
            known = (labels != VOID).reshape(len(labels), -1)
            hits = (outputs.argmax(1).reshape(labels.shape) == labels).reshape(len(labels), -1)
            wrong = (known & ~hits).sum(1) / known.sum(1).clamp(min=1)
            return (1 - wrong).sum()
        if self.kind.competes:
            hits = outputs.argmax(1).reshape(labels.shape) == labels
        else:
            # Of this batch alone, which is enough for what training tells on its way.
            probable = bool(((outputs >= 0) & (outputs <= 1)).all())
            hits = (outputs.reshape(labels.shape) > LIMITS[probable]) == (labels > 0)
        return hits.reshape(len(labels), -1).float().mean(1).sum()

    def of_answers(self, outputs: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """The distance of ``outputs`` from the teacher's; KL(teacher || outputs) of classes.

        Source
        ------
        Hinton et al., "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531), section 2.
        """
        if not self.kind.classifies:
            return (outputs - teacher).square().mean() / self.unit
        if self.kind.competes:
            return _of_softmax(outputs, teacher, temperature)
        return _of_coins(outputs / temperature, teacher / temperature) * temperature**2


def _of_softmax(outputs, teacher, temperature):
    got, wanted = (F.log_softmax(x / temperature, 1) for x in (outputs, teacher))
    # torch's argument order is (input, target) for KL(target || input), both as logarithms.
    total = F.kl_div(got, wanted, reduction="batchmean", log_target=True) * temperature**2
    # "batchmean" divides by samples alone, and a map has a class at each position.
    positions = outputs[0, 0].numel()
    return total / positions if positions > 1 else total


def _of_coins(outputs, teacher):
    """KL of two coins, from logits: no logarithm of a probability that rounds to 0 or 1."""
    there = teacher.sigmoid()
    gap = F.logsigmoid(teacher) - F.logsigmoid(outputs)
    gap_not = F.logsigmoid(-teacher) - F.logsigmoid(-outputs)
    return (there * gap + (1 - there) * gap_not).mean()


def classes_first(outputs: Tensor) -> Tensor:
    """Outputs of a module whose tasks nobody told, with what may be classes as dimension 1.

    There all losses have them, as PyTorch's own do: (samples, classes, ...). Outputs of three
    dimensions are then taken as a language model's, (samples, positions, classes), and turned;
    where a task is known, (samples, classes, length) stays as it is.
    """
    return outputs.movedim(-1, 1) if outputs.dim() == 3 else outputs


def spread(values: Tensor) -> float:
    """The variance of each value of (samples, ...) over the samples, averaged: a loss's unit.

    Where the samples do not differ, it is the mean square, and 1 where all is zero.
    """
    values = values.detach().double()
    # Of each value over the samples: what all samples share takes nothing to learn.
    variance = float((values - values.mean(0)).square().mean())
    square = float(values.square().mean())
    if variance > 1e-12 * square:
        return variance
    return square or 1.0


def relative_error(wanted: Tensor, got: Tensor) -> Tensor:
    """Squared error over the square of what is wanted, both summed."""
    wanted = wanted.detach().float()
    least = torch.finfo(torch.float32).tiny
    return (got.float() - wanted).square().sum() / wanted.square().sum().clamp(min=least)
