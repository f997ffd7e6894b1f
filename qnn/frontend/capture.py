"""A float graph from any ``nn.Module``, through torch.export."""

import inspect
import io
import logging
import sys
import traceback
import warnings
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils import _pytree

from qnn.errors import ModelError
from qnn.frontend.exported import OUTPUT, read
from qnn.frontend.faults import TORCH
from qnn.frontend.graph import FloatGraph
from qnn.frontend.unwrap import check_parameters, fixed_batch, plain_module


def capture(model: nn.Module | ExportedProgram, example: Tensor | tuple[Tensor, ...]) -> FloatGraph:
    """The float graph of ``model`` in evaluation mode; the model itself is left as it was.

    Parameters
    ----------
    model : a module, also compiled or of several devices, or a program of torch.export
    example : what the model takes, (batch, channels, height, width) or (batch, features); a tuple
        holds one tensor for each input of a model that has several

    Raises
    ------
    ModelError
        The model refuses the example, cannot be exported, or does what integers of shifts and
        adds cannot; then it is a ``FaultyModel``, which tells every fault.
    """
    given = example if isinstance(example, tuple) else (example,)
    for number, x in enumerate(given, 1):
        _check_rank(x, f"input {number}" if len(given) > 1 else "input")
    model = plain_module(model)
    # Before export, whose own error would name an operator and not the parameter.
    check_parameters(model)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    batch = fixed_batch(model)
    # One image is enough: the graph does not depend on the values.
    images = tuple(x[:1].expand(batch, *x.shape[1:]).to(device, copy=True) for x in given)
    with torch.no_grad(), _evaluating(model), _quiet():
        tried(model, images)
        program = _export(model, images)
    return read(program)


def input_counts(model: nn.Module | ExportedProgram) -> range:
    """How many tensors the model's forward takes: those without a default at least, but one."""
    try:
        parameters = inspect.signature(plain_module(model).forward).parameters.values()
    except (TypeError, ValueError):  # a forward that Python cannot look into
        return range(1, sys.maxsize)
    named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    least = max(sum(p.default is p.empty for p in named), 1)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return range(least, sys.maxsize)
    return range(least, max(len(named), least) + 1)


def _check_rank(x, which):
    if x.dim() not in (2, 4):
        raise ModelError(
            f"model {which} needs shape (batch, channels, height, width) or (batch, features), "
            f"not {tuple(x.shape)}; reshape the data"
        )


@contextmanager
def _evaluating(model):
    # Module by module: a user may have frozen some of them in evaluation.
    training = [module for module in model.modules() if module.training]
    # A run may count in buffers, or keep there what it computed.
    held = [
        (module._buffers, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    # What was exported stays as it was then: PyTorch refuses to change it.
    with suppress(NotImplementedError):
        model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
        for buffers, name, buffer, before in held:
            buffers[name] = buffer
            buffer.copy_(before)


@contextmanager
def _quiet():
    """No warnings and no log: torch.export prints the whole program beside its error."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _where(error):
    """The line of the user's code that failed, in brackets; nothing where it is unknown."""
    frames = traceback.extract_tb(error.__traceback__)
    # Behind this file's call, and neither PyTorch's nor Python's own.
    ours = max((i for i, f in enumerate(frames) if f.filename == __file__), default=-1)
    files = [f for f in frames[ours + 1 :] if not f.filename.startswith((TORCH, "<"))]
    return f" ({Path(files[-1].filename).name}:{files[-1].lineno})" if files else ""


def tried(model: nn.Module, images: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What ``model`` gives for one tensor of each input.

    Raises
    ------
    ModelError
        It cannot take them, or gives something else than tensors.
    """
    try:
        result = model(*images)
    except Exception as error:  # any: it is the user's code
        shapes = ", ".join(str(tuple(x.shape[1:])) for x in images)
        given = f"inputs of shapes {shapes}" if len(images) > 1 else f"input of shape {shapes}"
        raise ModelError(
            f"model{_where(error)} cannot take {given} (without batch): {_first_line(error)}; give "
            f"data of the shape that the model takes"
        ) from error
    leaves = [leaf for leaf in _pytree.tree_leaves(result) if leaf is not None]
    other = next((leaf for leaf in leaves if not isinstance(leaf, Tensor)), None)
    if other is not None or not leaves:
        got = f", not {type(other).__name__}" if leaves else ""
        raise ModelError(f"model {OUTPUT}{got}; return tensors in a tuple, list or dictionary")
    return tuple(leaves)


def _export(model, images):
    try:
        # Not strict: it traces the module as Python runs it, which takes more models.
        return torch.export.export(model, images, strict=False).run_decompositions({})
    except Exception as error:  # any: torch.export raises many kinds
        raise ModelError(
            f"model{_where(error)} cannot be captured by torch.export: {_first_line(error)}; make "
            f"its forward independent of the data's values"
        ) from error
