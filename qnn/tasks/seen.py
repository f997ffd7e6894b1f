"""What a network's outputs are for, where their values tell that a guess from shapes was wrong."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch

from qnn.errors import QnnWarning
from qnn.tasks.kinds import TaskKind
from qnn.tasks.losses import spread
from qnn.tasks.outputs import Asked, for_each

SEEN = 64  # samples that are enough


def as_seen(
    kinds: Sequence[TaskKind], asked: Asked, given: np.ndarray, outputs: Sequence[np.ndarray]
) -> tuple[TaskKind, ...]:
    """The tasks, of which those guessed to be a reconstruction and far from the input are values.

    Without labels nothing but its size says of an output that it is the input, given back. Farther
    from it than its mean is, it is not: then its values are to stay, whatever they are for. Warns.

    Parameters
    ----------
    kinds, asked : what ``find_tasks`` gave for what was asked
    given, outputs : the input and all outputs of a float network that is trained, (samples, ...)
    """
    names = (asked,) * len(kinds) if isinstance(asked, str) else asked
    each = zip(kinds, for_each("a task", names, len(kinds)), outputs, strict=True)
    far = [
        kind is TaskKind.RECONSTRUCTION and name is None and _is_far(values, given)
        for kind, name, values in each
    ]
    if any(far):
        text = (
            "outputs are as large as the input and have no labels, but they are far from it: their "
            "values are kept, as those of a regression; if they are classes of places or of a "
            "whole sample, give labels, or the task 'pixels' or 'classes'"
        )
        warnings.warn(text, QnnWarning, stacklevel=3)
    pairs = zip(kinds, far, strict=True)
    return tuple(TaskKind.REGRESSION if is_far else kind for kind, is_far in pairs)


def _is_far(values, given):
    """Whether the input's mean is nearer to the input than ``values`` are."""
    wanted = torch.from_numpy(given).double()
    error = (torch.from_numpy(values).double().reshape(wanted.shape) - wanted).square().mean()
    return bool(error >= spread(wanted))
