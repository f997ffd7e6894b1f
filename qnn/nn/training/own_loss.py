"""A loss of the user's own, which gets what the float model gives and the labels as they came."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from qnn.errors import ModelError
from qnn.tasks.structures import nested_like, on_tensors, tensors_of

Loss = Callable[[Any, Any], Tensor]  # of outputs and labels of a batch


@dataclass(frozen=True, eq=False)
class OwnLoss:
    """Calls ``function`` with outputs in float32, nested as the float model nests them.

    Members
    -------
    like : what a float model gives, whose nesting counts where the model in training is a
        quantized one, which gives a tuple; None: outputs are given as they are
    """

    function: Loss
    like: Any = None

    def __call__(self, outputs: Any, labels: Any) -> Tensor:
        """The loss of a batch, () float32.

        Raises
        ------
        ModelError
            ``function`` gives anything else than one number.
        """
        # Under autocast they come in half precision, which has too few digits for a loss, and what
        # the host computes in evaluation in double precision, which labels are not of.
        outputs = on_tensors(_in_float32, outputs)
        if self.like is not None:
            outputs = nested_like(self.like, tensors_of(outputs))
        found = self.function(outputs, labels)
        if not isinstance(found, Tensor) or found.numel() != 1:
            is_tensor = isinstance(found, Tensor)
            got = f"shape {tuple(found.shape)}" if is_tensor else type(found).__name__
            raise ModelError(
                f"train needs a loss that gives one number in a tensor, the mean over the batch, "
                f"not {got}; return its mean"
            )
        return found.reshape(()).float()


def _in_float32(leaf):
    return leaf.float() if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf


def check_lessons(labels: Any, teacher: bool, weight: float) -> None:
    """Raise ``ModelError`` where an own loss has no labels, or counts for nothing."""
    if labels is None:
        raise ModelError("train needs labels for a loss, but got images alone; give both")
    if teacher and not weight:
        raise ModelError(
            "train got a loss that counts for nothing beside the teacher; weigh it: "
            "Recipe(labels=1)"
        )
