"""A checkpoint's weights into a model, and one line about what was taken of the file and how."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from qnn.errors import ModelError
from qnn.nn.weights.choose import Chosen, choose
from qnn.nn.weights.fit import differences, unusable
from qnn.nn.weights.foreign import pickled_module
from qnn.nn.weights.read import SAVE, read_content

SHOWN = 6  # names in the line; a checkpoint may have hundreds that are not weights


def load_weights(
    model: nn.Module, name: str, path: Path, note: Callable[[str], None] | None = None
) -> None:
    """Give ``model`` the weights in the file ``path``.

    The file is a state dict as PyTorch or safetensors writes it, or a checkpoint that has one
    somewhere inside, also of a network in DataParallel, torch.compile or Lightning. Nothing in it
    is unpickled. Weights of another float type are converted to the model's.

    Parameters
    ----------
    name : of the model, for refusals
    note : takes one line that says what was taken, stripped, ignored and converted, if anything

    Raises
    ------
    ModelError
        The file cannot be read, or its tensors are not this model's, or no weights.
    """
    content = read_content(path)
    wanted = model.state_dict(keep_vars=True)
    chosen, text = _chosen(content, wanted)
    if text and (module := pickled_module(content)):
        raise ModelError(
            f"checkpoint {path} holds a pickled module of class '{module}', which only its own "
            f"code could unpickle; {SAVE}"
        )
    if text:
        raise misfit(path, name, text)
    if text := unusable(wanted, chosen.tensors):
        raise ModelError(
            f"checkpoint {path} needs finite float weights, but {text}; give the checkpoint that "
            f"training wrote"
        )
    converted = Counter(
        (_kind(tensor), _kind(wanted[key]))
        for key, tensor in chosen.tensors.items()
        if _is_converted(wanted[key], tensor)
    )
    _fill(model, name, path, wanted, chosen.tensors)
    said = [*_said(chosen), *_conversions(converted)]
    if said and note is not None:
        note(f"checkpoint {path}: {'; '.join(said)}")


def _chosen(content, wanted):
    """What is taken of a checkpoint, and what keeps it from being loaded, empty if nothing."""
    try:
        chosen = choose(content, list(wanted))
    except ModelError as error:
        return None, str(error)
    return chosen, differences(wanted, chosen.tensors)


def misfit(path: Path, name: str, text: str) -> ModelError:
    """The refusal of a checkpoint of another model."""
    return ModelError(
        f"checkpoint {path} does not fit model '{name}': {text}; give the checkpoint of this model"
    )


def _fill(model, name, path, wanted, tensors):
    state = {
        key: tensor.to(wanted[key].dtype).reshape(wanted[key].shape)
        if isinstance(tensor, Tensor) and not is_lazy(wanted[key])
        else tensor
        for key, tensor in tensors.items()
    }
    try:
        with torch.no_grad():
            model.load_state_dict(state, strict=False)  # BatchNorm's counters may be missing
    except Exception as error:  # any: modules may have hooks of the user's
        reason = str(error).strip().splitlines()[-1].strip()
        raise misfit(path, name, reason) from error


def _is_converted(wanted, tensor):
    # Counters are converted too, but nothing reads them.
    return (
        isinstance(tensor, Tensor) and wanted.is_floating_point() and tensor.dtype != wanted.dtype
    )


def _kind(tensor):
    return str(tensor.dtype).removeprefix("torch.")


def _said(chosen: Chosen) -> list[str]:
    texts = []
    if chosen.nest:
        texts.append(f"took '{'.'.join(chosen.nest)}'")
    texts += [
        f"stripped '{what}' from {count} name{'s' * (count > 1)}"
        for what, count in chosen.stripped.items()
    ]
    if chosen.ignored:
        shown = ", ".join(f"'{name}'" for name in chosen.ignored[:SHOWN])
        more = len(chosen.ignored) - SHOWN
        texts.append(f"ignored {shown}" + (f" and {more} more" if more > 0 else ""))
    return texts


def _conversions(converted: Mapping[tuple[str, str], int]) -> list[str]:
    return [
        f"converted {count} tensor{'s' * (count > 1)} from {before} to {after}"
        for (before, after), count in converted.items()
    ]
