"""A checkpoint's weights into a model, by names or else by structure, and what was taken."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from qnn.errors import ModelError
from qnn.nn.weights.by_structure import by_structure
from qnn.nn.weights.choose import Chosen, choose
from qnn.nn.weights.composed import composed
from qnn.nn.weights.fit import differences, folded, unusable
from qnn.nn.weights.foreign import pickled_module
from qnn.nn.weights.loaded import LoadedWeights, described
from qnn.nn.weights.read import SAVE, read_content


def load_weights(model: nn.Module, path: Path | str, name: str | None = None) -> LoadedWeights:
    """Give ``model`` the weights in the file ``path``, and say what was taken of it.

    The file is a state dict as PyTorch or safetensors writes it (``.pt``, ``.pth``, ``.ckpt``,
    ``.safetensors``), or a checkpoint that has one somewhere inside, also of a network in
    DataParallel, torch.compile or Lightning. Nothing in it is unpickled.

    Tensors are found by their names, without what wraps the network (``module.``, ``model.``,
    ``_orig_mod.``). Where names differ, they are found by structure: the layers of both, with the
    shapes of all their tensors, have to follow one another alike. Parts that hold the same are told
    apart by names or by numbers that count up; where neither tells, nothing is loaded. Weights of
    another float type are converted, and those that ``weight_norm`` split are put together.

    Parameters
    ----------
    name : of the model, for refusals; without it its class's

    Returns
    -------
    LoadedWeights
        The table of the model's names and the file's, which it prints as; ``note`` is one line
        about what was stripped, told by structure, ignored and converted.

    Raises
    ------
    ModelError
        The file cannot be read, or its tensors are not this model's, or no weights. The model is as
        it was.
    """
    path, name = Path(path), name or type(model).__name__
    content = read_content(path)
    wanted = model.state_dict(keep_vars=True)
    chosen, text = _chosen(content, wanted)
    if text and (module := pickled_module(content)):
        raise ModelError(
            f"checkpoint {path} holds a pickled module of class '{module}', which only its own "
            f"code could unpickle; {SAVE}"
        )
    if text and chosen is not None and (norms := folded(wanted, chosen.tensors)):
        raise misfit(path, name, *norms)
    if text:
        raise misfit(path, name, text)
    if text := unusable(wanted, chosen.tensors):
        raise ModelError(
            f"checkpoint {path} needs finite float weights, but {text}; give the checkpoint that "
            f"training wrote"
        )
    _fill(model, name, path, wanted, chosen.tensors)
    return described(path, chosen, wanted)


def _chosen(content, wanted) -> tuple[Chosen | None, str]:
    """What is taken of a checkpoint, and what keeps it from being loaded, empty if nothing."""
    chosen = None
    try:
        chosen = choose(content, list(wanted))
        text = differences(wanted, chosen.tensors)
        # Only now, as the model may have such parts itself.
        if text and (whole := _composed(chosen, wanted)):
            chosen, text = whole, differences(wanted, whole.tensors)
        if text:
            found, reason = by_structure(chosen, wanted)
            return (found, "") if found else (chosen, reason or text)
    except ModelError as error:
        return chosen, str(error)
    return chosen, text


def _composed(chosen, wanted):
    """The same with weights of one piece; None where there are none of two."""
    entries, count = composed(chosen.entries)
    if not count:
        return None
    again = choose(entries, list(wanted))
    ignored = (*chosen.beside, *again.ignored)
    return replace(again, nest=chosen.nest, beside=chosen.beside, ignored=ignored, composed=count)


def misfit(
    path: Path, name: str, text: str, advice: str = "give the checkpoint of this model"
) -> ModelError:
    """The refusal of a checkpoint of another model."""
    return ModelError(f"checkpoint {path} does not fit model '{name}': {text}; {advice}")


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
