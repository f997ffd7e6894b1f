"""What training lessens: distance from the teacher's answers, from the labels, or both."""

from collections.abc import Sequence
from math import log

from torch import Tensor

from qnn.nn.training.heads import TrainedHead
from qnn.nn.training.recipe import Recipe
from qnn.tasks.losses import TaskLoss


def loss(
    outputs: Tensor, teacher: Tensor | None, labels: Tensor | None, recipe: Recipe, own: TaskLoss
) -> Tensor:
    """The recipe's sum of losses, () float32, mean over the batch.

    Parameters
    ----------
    outputs, teacher : (batch, ...); None: no teacher; integers are classes that it chose
    labels : in the form of the task, where the recipe needs them
    own : the loss of the task. Of classes ``recipe.kl`` weighs KL(teacher || student) and
        ``recipe.reverse_kl`` KL(student || teacher), which seeks the teacher's modes; of values
        both weigh the squared error

    Source
    ------
    Gu et al., "MiniLLM" (arXiv 2306.08543), equation 1, for the reverse.
    """
    # Under autocast they come in half precision, whose softmax has too few digits for a loss.
    outputs = outputs.float()
    if teacher is None and labels is None:
        # Nothing is known of it, and its gradient is none.
        return outputs.sum() * 0.0
    if teacher is None:
        return own.of_labels(outputs, labels, recipe.label_smoothing)
    if not teacher.is_floating_point():
        # Classes that a teacher chose are labels.
        return own.of_labels(outputs, teacher.reshape(len(outputs), *outputs.shape[2:]))
    teacher, parts = teacher.float(), []
    if recipe.kl:
        parts.append(recipe.kl * own.of_answers(outputs, teacher, recipe.temperature))
    if recipe.reverse_kl:
        parts.append(recipe.reverse_kl * own.of_answers(teacher, outputs, recipe.temperature))
    if recipe.labels and labels is not None:
        parts.append(recipe.labels * own.of_labels(outputs, labels, recipe.label_smoothing))
    return sum(parts[1:], parts[0]) if parts else outputs.sum() * 0.0


def losses(
    outputs: Sequence[Tensor],
    teacher: Sequence[Tensor] | None,
    labels: Sequence[Tensor | None],
    recipe: Recipe,
    heads: Sequence[TrainedHead],
) -> Tensor:
    """The sum of ``loss`` over the outputs, () float32.

    Each is a mean over samples and positions, of classes in nats and of values in units of their
    variance: neither an output's size nor its scale makes it weigh more than another. An output
    without labels, where no teacher answers, adds nothing.
    """
    answers = (None,) * len(heads) if teacher is None else teacher
    each = zip(outputs, answers, labels, heads, strict=True)
    parts = [loss(got, taught, y, recipe, head.loss) for got, taught, y, head in each]
    return sum(parts[1:], parts[0])


def guessing(heads: Sequence[TrainedHead], teacher: bool, recipe: Recipe) -> float:
    """The approximate loss of a model whose answers are all alike."""
    return sum(_guessing(head.loss, head.shape[0], teacher, recipe) for head in heads)


def _guessing(own, classes, teacher, recipe):
    weights = recipe.kl + recipe.reverse_kl + recipe.labels if teacher else 1.0
    # The error of the mean is the variance, which is the unit.
    if not own.kind.classifies:
        return weights
    # All classes alike have an entropy of log(classes), whether they are compared with labels or
    # answers; a logit of its own is a coin.
    return weights * log(classes if own.kind.competes else 2)
