"""What a network loses against the float one, in the unit of its task: points, or percent."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from qnn.tasks.kinds import TaskKind

# A regression's own error is not known without labels: that of a model of R2 0.98 is a fiftieth of
# the variance. Of one that upscales images it was an eighteenth, of one that counts pixels a 260th.
OWN_ERROR = 0.02
# The least own error, over the variance: a network that has learnt its labels by heart would else
# need more bits than there are.
LEAST_ERROR = 1e-3
# Over the variance: labels that are nearer to the answers are these answers, but for rounding.
SAME = 1e-9
# Of answers that a float network held for nearly as likely, its own is right more often than the
# other: of a DenseNet of 48 % on CIFAR-10, 7.4 % of answers changed on 10,000 training images that
# it had not seen, 0.9 % were lost, and its own sureness would have said 0.3 %.
LEAST_COST = 0.1  # of a changed answer
# What may be lost without a word: points of accuracy, or percent of squared error. Of a network
# with both, each output may lose its own: what values lose is then told as so many points.
POINTS, PERCENT = 0.5, 2.0


@dataclass(frozen=True, eq=False)
class LostShares:
    """What each image loses of an output.

    Members
    -------
    lost : (images,), a share of classes, the squared error against the float network's values
    crossed : (images,), what the squared error of a task grows by beside that: twice the product of
        the float network's error and of what has changed, on average over the values whose errors
        are told. 0 of classes, and where nothing tells the errors of an output; NaN of an image of
        which nothing tells any
    """

    lost: Tensor
    crossed: Tensor


@dataclass(frozen=True)
class Lost:
    """What is lost against the float network.

    Members
    -------
    lost : of classes, points of accuracy: a changed answer costs how much surer the float network
        was of its own, and ``LEAST_COST`` at least; of values, percent of the task's own
        squared error, by which it grows: the squares of what has changed, and where something tells
        the float network's own errors, twice their product with it, as far as that is no gain and
        more than chance. Beside classes as many points as ``PERCENT`` are ``POINTS``. Of several
        outputs the most
    error : the standard error of all of that growth, or of the points, as the images are a sample;
        where no answer has changed that of one among them; None: one image has none
    """

    lost: float
    error: float | None

    def __str__(self) -> str:
        return f"{self.lost:.2f}" if self.error is None else f"{self.lost:.2f} +- {self.error:.2f}"


def unit_of(kinds: Sequence[TaskKind]) -> str:
    """The unit of what outputs of such tasks lose."""
    return "points" if any(kind.classifies for kind in kinds) else "%"


def tells(error: float | None, unit: float) -> bool:
    """Whether a squared error is that of a task; ``unit`` is the variance of the answers."""
    return error is not None and error > SAME * unit


def own_error(error: float | None, unit: float) -> float:
    """The float network's squared error in its task, of values; estimated where nothing tells it.

    Parameters
    ----------
    error : against labels, or against the input that is given back; None: neither is known
    unit : the variance of the answers
    """
    return max(error, LEAST_ERROR * unit) if tells(error, unit) else OWN_ERROR * unit


def lost_shares(
    answers: Tensor, got: Tensor, kind: TaskKind, errors: Tensor | None = None
) -> LostShares:
    """What each image loses.

    Parameters
    ----------
    answers, got : the float network's and another's, (images, ...)
    errors : of values, the float network's less what they should be; NaN, or None: nothing tells it
    """
    answers, got = answers.double(), got.double()
    crossed = torch.zeros(len(answers), dtype=torch.float64, device=answers.device)
    if kind.competes:
        sure = answers.softmax(1)
        answer = got.argmax(1, keepdim=True)
        lost = sure.amax(1) - sure.gather(1, answer)[:, 0]
        lost = torch.where(answers.argmax(1) == answer[:, 0], 0.0, lost.clamp(min=LEAST_COST))
    elif kind.classifies:
        lost = _of_coins(answers, got)
    else:
        lost = (got - answers).square()
        if errors is not None:
            crossed = (2 * (got - answers) * errors).reshape(len(answers), -1).nanmean(1)
    return LostShares(_of_images(lost), crossed)


def _of_images(values):
    return values.reshape(len(values), -1).mean(1)


def worst_of(
    shares: Sequence[LostShares], kinds: Sequence[TaskKind], own_errors: Sequence[float]
) -> Lost:
    """The output that loses most, of ``lost_shares`` of each one."""
    return max(map(_mean, shares, kinds, own_errors, [kinds] * len(kinds)), key=lambda x: x.lost)


def _mean(shares, kind, own, kinds):
    scale = 100.0 if kind.classifies else 100 / own
    if not kind.classifies and any(each.classifies for each in kinds):
        scale *= POINTS / PERCENT
    known = ~shares.crossed.isnan()
    # The spread over images gives the standard error.
    each = scale * ((shares.lost + shares.crossed)[known] if bool(known.any()) else shares.lost)
    error = float(each.std()) / sqrt(len(each)) if len(each) > 1 else None
    if error is not None and kind.classifies and not bool(each.any()):
        # As many images as kept their answers do not tell that the next one will.
        error = 100 / len(each)
    lost = float(shares.lost.mean()) + _beyond_chance(shares.crossed[known])
    return Lost(scale * lost, error)


def _beyond_chance(crossed) -> float:
    """The mean, in whose sum values of either sign cancel, as far as it is more than chance.

    Its square has the variance of the mean beside that of the true one. So the mean is multiplied
    by what the true square has of it, and no less than 0, as the positive part of the estimator of
    James and Stein (1961) is. A gain is none: that of activations of 8 bits alone was 7.7 %, where
    they lost 4.4 %, and weights that are fitted to the float network's values take it back.
    """
    mean = float(crossed.mean()) if len(crossed) > 1 else 0.0
    if mean <= 0:
        return 0.0
    chance = float(crossed.var()) / len(crossed)
    return mean * max(0.0, 1 - chance / mean**2)


def _of_coins(answers, got):
    """What each changed answer of two costs: how far the float one was from even."""
    probable = bool(((answers >= 0) & (answers <= 1)).all())
    sure = answers if probable else answers.sigmoid()
    limit = 0.5 if probable else 0.0
    changed = (got > limit) != (answers > limit)
    return torch.where(changed, (2 * sure - 1).abs().clamp(min=LEAST_COST), 0.0)
