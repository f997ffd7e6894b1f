"""The outputs of a model as training sees them: name, shape and loss of each, and its labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.tasks.kinds import TaskKind, is_of_its_own, labels_for
from qnn.tasks.losses import TaskLoss
from qnn.tasks.structures import names_of, tensors_of

# Of one entry for each output, or of whatever a loss of the user's takes.
Labels = Tensor | Sequence[Any] | Mapping[str, Any] | None


@dataclass(frozen=True)
class TrainedHead:
    """One output of a model.

    Members
    -------
    name : as the user's model has it
    shape : of a sample's output
    loss : of what the output is for
    """

    name: str
    shape: tuple[int, ...]
    loss: TaskLoss

    @property
    def kind(self) -> TaskKind:
        """What the output is for."""
        return self.loss.kind


def for_heads(
    labels: Labels, names: Sequence[str], shapes: Sequence[tuple[int, ...]]
) -> tuple[Tensor | None, ...]:
    """The labels of each output, None where there are none.

    One tensor is for the only output, or for all of them if they have one shape, as the main and
    the auxiliary result of a segmentation network; a sequence has an entry for each output, and a
    dictionary one by its name.

    Raises
    ------
    ModelError
        The labels leave open which output they are for.
    """
    if labels is None:
        return (None,) * len(names)
    if isinstance(labels, Mapping):
        known = dict(zip(names_of(labels), tensors_of(labels), strict=True))
        strange = [name for name in known if name not in names]
        if not strange:
            return tuple(known.get(name) for name in names)
        got = f"'{strange[0]}'"
    elif isinstance(labels, Tensor):
        if len(set(shapes)) == 1:
            return (labels,) * len(names)
        got = "one tensor for all"
    else:
        if len(labels) == len(names):
            return tuple(labels)
        got = f"{len(labels)} entries"
    told = ", ".join(f"'{n}' {shape}" for n, shape in zip(names, shapes, strict=True))
    numbered = ", ".join(f"y_train_{index}" for index in range(len(names)))
    raise ModelError(
        f"train needs labels for each output of the model, which are {told}, not {got}; give one "
        f"entry for each, None where there are no labels ({numbered} in a file)"
    )


def labels_in_form(
    kinds: Sequence[TaskKind],
    shapes: Sequence[tuple[int, ...]],
    labels: Sequence[Tensor | None],
    who: Sequence[str],
) -> tuple[Tensor | None, ...]:
    """Labels in the form of each output's task; raises as ``labels_for`` does.

    Those of a reconstruction count where they are as many values, as of a network that denoises.

    Parameters
    ----------
    who : of each output, who needs the labels, as the start of a sentence
    """
    each = zip(kinds, shapes, labels, who, strict=True)
    return tuple(_in_form(kind, shape, y, asker) for kind, shape, y, asker in each)


def _in_form(kind, shape, y, who):
    if y is None or is_of_its_own(kind, shape, y.numpy()):
        return None
    if kind is TaskKind.RECONSTRUCTION:
        return y
    return torch.from_numpy(labels_for(kind, shape, y.numpy(), who))
