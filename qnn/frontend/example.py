"""What a model takes, without data: shapes that the user says, or that the model tells itself."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from qnn.frontend.unwrap import exported_shapes

Shapes = Sequence[tuple[int, ...]]


def example_of(model: nn.Module, shapes: Shapes = ()) -> tuple[Tensor, ...] | None:
    """Zeros for each input, (1, ...), or the model's own example; None if no shape is known.

    Tried in order: ``shapes``; ``model.example_input_array``, as Lightning has it; the input size
    of timm's configuration; the inputs of a program of torch.export.

    Parameters
    ----------
    shapes : of one image of each input, without the batch
    """
    if not shapes:
        own = getattr(model, "example_input_array", None)
        if isinstance(own, Tensor):
            return (own,)
        if isinstance(own, tuple | list) and own and all(isinstance(x, Tensor) for x in own):
            return tuple(own)
    shapes = shapes or _configured(model) or [shape[1:] for shape in exported_shapes(model)]
    return tuple(torch.zeros(1, *shape) for shape in shapes) or None


def _configured(model):
    # Newer releases of timm call it by the second name.
    for name in ("default_cfg", "pretrained_cfg"):
        configuration = getattr(model, name, None)
        size = configuration.get("input_size") if isinstance(configuration, dict) else None
        if size is not None:
            return [tuple(size)]
    return []
