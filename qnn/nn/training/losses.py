"""What training lessens: distance from the teacher's answers, from the labels, or both."""

from math import log

from torch import Tensor

from qnn.nn.training.recipe import Recipe
from qnn.tasks.losses import TaskLoss


def loss(
    outputs: Tensor, teacher: Tensor | None, labels: Tensor | None, recipe: Recipe, own: TaskLoss
) -> Tensor:
    """The recipe's sum of losses, () float32, mean over the batch.

    Parameters
    ----------
    outputs, teacher : (batch, ...); None: no teacher
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
    if teacher is None:
        return own.of_labels(outputs, labels, recipe.label_smoothing)
    teacher, parts = teacher.float(), []
    if recipe.kl:
        parts.append(recipe.kl * own.of_answers(outputs, teacher, recipe.temperature))
    if recipe.reverse_kl:
        parts.append(recipe.reverse_kl * own.of_answers(teacher, outputs, recipe.temperature))
    if recipe.labels:
        parts.append(recipe.labels * own.of_labels(outputs, labels, recipe.label_smoothing))
    return sum(parts[1:], parts[0])


def guessing(own: TaskLoss, classes: int, teacher: bool, recipe: Recipe) -> float:
    """The approximate loss of a model whose answers are all alike."""
    weights = recipe.kl + recipe.reverse_kl + recipe.labels if teacher else 1.0
    # The error of the mean is the variance, which is the unit.
    if not own.kind.classifies:
        return weights
    # All classes alike have an entropy of log(classes), whether they are compared with labels or
    # answers; a logit of its own is a coin.
    return weights * log(classes if own.kind.competes else 2)
