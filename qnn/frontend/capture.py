"""A float graph from any ``nn.Module``, through torch.export."""

import inspect
import io
import logging
import sys
import sysconfig
import traceback
import warnings
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils import _pytree

from qnn.errors import ModelError, first_line
from qnn.frontend.brevitas import is_brevitas, without_brevitas
from qnn.frontend.exported import OUTPUT, read
from qnn.frontend.faults import OURS, TORCH
from qnn.frontend.graph import FloatGraph
from qnn.frontend.releases import SameTraces
from qnn.frontend.unwrap import (
    check_buffers,
    check_parameters,
    fixed_batch,
    plain_module,
    uncompiled,
)

BATCH = 2  # exported with this many images, so that no dimension of 1 is taken for the batch
STANDARD = sysconfig.get_path("stdlib")  # Python's own files


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
    model = plain_module(model)
    # Before export, whose own error would name an operator and not the parameter.
    check_parameters(model)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    # One image is enough: the graph does not depend on the values.
    images = tuple(x.to(device) for x in _repeated(given, fixed_batch(model) or BATCH))
    if is_brevitas(model):
        with _quiet():
            model = without_brevitas(model, images)
    with torch.no_grad(), uncompiled(model), _evaluating(model), _quiet():
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
            # Observers of quantization begin empty, and grow.
            buffer.resize_(before.shape).copy_(before)


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


def _said(error):
    text = first_line(error).rstrip(".")
    # The text of a lookup's error is the key alone.
    return f"{type(error).__name__}: {text}" if isinstance(error, LookupError) else text


def _where(error):
    """The line of the user's code that failed, in brackets; nothing where it is unknown."""
    frames = traceback.extract_tb(error.__traceback__)
    # Behind this file's call, and neither PyTorch's nor Python's own.
    ours = max((i for i, f in enumerate(frames) if f.filename == __file__), default=-1)
    files = [f for f in frames[ours + 1 :] if not _foreign(f.filename)]
    return f" ({Path(files[-1].filename).name}:{files[-1].lineno})" if files else ""


def _cure(error):
    """What lets torch.export follow the forward that it could not."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    # Releases before 2.13 let the model itself keep no tensor.
    if "assigned during export" in str(error):
        return "keep it in a variable of forward, or take torch 2.13"
    # Plain sequences never fail there: they were run before.
    if any(name.startswith(TORCH) and Path(name).name == "rnn.py" for name in files):
        return "give recurrent layers sequences of one length, without pack_padded_sequence"
    return "make its forward independent of the data's values"


def _foreign(filename):
    standard = filename.startswith(STANDARD) and "site-packages" not in filename
    return standard or filename.startswith((TORCH, OURS, "<"))


def tried(model: nn.Module, images: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What ``model`` gives for one tensor of each input, or for as many images as it takes.

    Raises
    ------
    ModelError
        It cannot take them, or gives something else than tensors.
    """
    _check_positions(model)
    batch = fixed_batch(model)
    # Copies, as a model may write to what it is given.
    images = tuple(x.clone() for x in images) if batch is None else _repeated(images, batch)
    try:
        result = model(*images)
    except Exception as error:  # any: it is the user's code
        check_buffers(model)
        shapes = ", ".join(str(tuple(x.shape[1:])) for x in images)
        given = f"inputs of shapes {shapes}" if len(images) > 1 else f"input of shape {shapes}"
        raise ModelError(
            f"model{_where(error)} cannot take {given} (without batch): {_said(error)}; give "
            f"data of the shape that the model takes"
        ) from error
    leaves = [leaf for leaf in _pytree.tree_leaves(result) if leaf is not None]
    other = next((leaf for leaf in leaves if not isinstance(leaf, Tensor)), None)
    if other is not None or not leaves:
        got = f", not {type(other).__name__}" if leaves else ""
        raise ModelError(f"model {OUTPUT}{got}; return tensors in a tuple, list or dictionary")
    return tuple(leaves)


def _repeated(images, count):
    """The first image of each input, ``count`` times."""
    return tuple(x[:1].repeat(count, *(1,) * (x.dim() - 1)) for x in images)


def _check_positions(model):
    """Return if every input that forward needs can be given by its place."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):  # a forward that Python cannot look into
        return
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise ModelError(
                f"model needs to take its inputs by place, but forward takes '{parameter.name}' by "
                f"keyword alone; take the * out of forward, or give it a default"
            )


def _export(model, images):
    first = None
    # A forward that switches gradients itself is read in one of the two alone, and one that writes
    # to its parameters in the other.
    for gradients in (False, True):
        try:
            with torch.set_grad_enabled(gradients), SameTraces():
                # Not strict: it traces the module as Python runs it, which takes more models.
                program = torch.export.export(model, images, strict=False)
                return program.run_decompositions({})
        except Exception as error:  # any: torch.export raises many kinds
            first = first or error
    raise ModelError(
        f"model{_where(first)} cannot be captured by torch.export: {_said(first)}; {_cure(first)}"
    ) from first
