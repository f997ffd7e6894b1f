"""What a checkpoint belongs to: model, grid, weights at the start, teacher, data and recipe."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from qnn.nn.model import QuantizedModel
from qnn.nn.training.heads import TrainedHead
from qnn.nn.training.recipe import Recipe, first_difference
from qnn.nn.training.samples import Samples
from qnn.tasks.structures import names_of, tensors_of

# CIFAR gives five pixels of every image, ImageNet one of every fifth; hashing all of the latter
# would take minutes.
# Pixels of the images that the fingerprint takes, evenly spread: hashing all of ImageNet would
# take minutes at every start.
PIXELS = 1 << 18


def fingerprint(
    model: nn.Module,
    teacher: nn.Module | None,
    found: Samples,
    recipe: Recipe,
    augment: Callable | None,
    table: Tensor | None,
    heads: Sequence[TrainedHead],
    loss: Callable | None = None,
) -> dict:
    """Plain values for JSON, which ``difference`` compares; ``table`` is an ``ImageReader``'s."""
    state = model.state_dict()
    quantized = isinstance(model, QuantizedModel)
    pixels = found.x_train.reshape(-1)
    data = {"x": pixels[:: max(1, len(pixels) // PIXELS)], "y": None}
    if isinstance(found.y_train, Tensor):
        data["y"] = found.y_train
    else:
        names = (f"y.{name}" for name in names_of(found.y_train))
        data |= dict(zip(names, tensors_of(found.y_train), strict=True))
    kinds = [head.kind.value for head in heads]
    return {
        "shapes": {name: list(tensor.shape) for name, tensor in state.items()},
        "grid": model.plan.to_fields()["layers"] if quantized else [],
        "start": digest(state),
        # Weights alone: the class is the user's code, whose changes no hash of ours could judge.
        "teacher": digest(teacher.state_dict()) if isinstance(teacher, nn.Module) else None,
        "data": [list(found.x_train.shape), digest(data)],
        "augment": _described(augment),
        "preprocessing": None if quantized or table is None else digest({"table": table}),
        # A loss of the user's is one more thing that outputs are for.
        "task": kinds[0] if len(kinds) == 1 and loss is None else [*kinds, _described(loss)],
        "recipe": recipe.to_fields(),
    }


def difference(kept: dict, given: dict) -> str | None:
    """The first difference of two fingerprints, as the end of a sentence; None if there is none."""
    if kept["shapes"] != given["shapes"]:
        return "is of another model"
    for old, new in zip(kept["grid"], given["grid"], strict=False):
        name = next((name for name in new if old.get(name) != _plain(new[name])), None)
        if name:
            return (
                f"is of another grid: layer '{new['name']}' has {name} {old.get(name)}, not "
                f"{new[name]}"
            )
    name = first_difference(kept["recipe"], given["recipe"])
    if name:
        old, new = kept["recipe"].get(name), given["recipe"][name]
        return f"is of another recipe: its {name} is {old}, not {new}"
    for name, text in (
        ("start", "starts from other weights of this model"),
        ("teacher", "is of another teacher"),
        ("data", "is of other training data"),
        ("augment", "is of another augmentation"),
        ("preprocessing", "is of another mean or std"),
        ("task", "is of another task"),
    ):
        if kept.get(name) != given[name]:
            return text
    return None


def digest(tensors: dict[str, Tensor | None]) -> str:
    """SHA-256 of names, shapes and values."""
    found = hashlib.sha256()
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        # In one memory format, so that channels_last has no fingerprint of its own.
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        found.update(plain.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _plain(value):
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value


def _described(function):
    """A name that another process gives the same function; what it is bound to counts."""
    if function is None:
        return None
    if isinstance(function, partial):
        bound = [repr(part) for part in function.args]
        bound += [f"{name}={value!r}" for name, value in sorted(function.keywords.items())]
        return f"{_described(function.func)}({', '.join(bound)})"
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', '')}.{name}"
