"""What training lessens: distance from the teacher's answers, from the labels, or both."""

from math import log

import torch.nn.functional as F
from torch import Tensor

from qnn.nn.training.recipe import Recipe


def forward_kl(logits: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(teacher || student) of softened answers, times the temperature's square.

    Parameters
    ----------
    logits, teacher : (batch, classes)

    Returns
    -------
    () mean over the batch; its gradient reaches ``logits`` only if ``teacher`` needs none

    Source
    ------
    Hinton et al., "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531), section 2.
    """
    return _kl(teacher, logits, temperature)


def reverse_kl(logits: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(student || teacher), which seeks the teacher's modes; else as ``forward_kl``.

    Source
    ------
    Gu et al., "MiniLLM" (arXiv 2306.08543), equation 1.
    """
    return _kl(logits, teacher, temperature)


def _kl(of, from_, temperature):
    of, from_ = (F.log_softmax(x / temperature, 1) for x in (of, from_))
    # torch's argument order is (input, target) for KL(target || input), both as logarithms.
    return F.kl_div(from_, of, reduction="batchmean", log_target=True) * temperature**2


def loss(logits: Tensor, teacher: Tensor | None, labels: Tensor | None, recipe: Recipe) -> Tensor:
    """The recipe's sum of losses, () float32, mean over the batch.

    Parameters
    ----------
    logits, teacher : (batch, classes); None: no teacher
    labels : (batch,) int64, where the recipe needs them
    """
    # Under autocast they come in half precision, whose softmax has too few digits for a loss.
    logits = logits.float()
    if teacher is None:
        return F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
    teacher, parts = teacher.float(), []
    if recipe.kl:
        parts.append(recipe.kl * forward_kl(logits, teacher, recipe.temperature))
    if recipe.reverse_kl:
        parts.append(recipe.reverse_kl * reverse_kl(logits, teacher, recipe.temperature))
    if recipe.labels:
        hard = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        parts.append(recipe.labels * hard)
    return sum(parts[1:], parts[0])


def guessing(classes: int, teacher: bool, recipe: Recipe) -> float:
    """The approximate loss of a model whose answers are all alike."""
    weights = recipe.kl + recipe.reverse_kl + recipe.labels if teacher else 1.0
    # All classes alike have an entropy of log(classes), whether they are compared with labels or
    # answers.
    return weights * log(classes)
