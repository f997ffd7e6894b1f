"""The module that capture reads, behind what people put around a network."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, fx, jit, nn
from torch.export import ExportedProgram
from torch.nn.parameter import UninitializedTensorMixin

from qnn.errors import ModelError


def plain_module(model: nn.Module | ExportedProgram) -> nn.Module:
    """The network without wrappers for several devices or for speed, which change no value.

    Raises
    ------
    ModelError
        TorchScript, which torch.export cannot read.
    """
    if isinstance(model, ExportedProgram):
        return model.module()
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return plain_module(model.module)
    # What torch.compile gives holds the module as it was.
    original = getattr(model, "_orig_mod", None)
    if isinstance(original, nn.Module):
        return plain_module(original)
    scripted = next((n for n, m in model.named_modules() if isinstance(m, jit.ScriptModule)), None)
    if scripted is not None:
        where = f"layer '{scripted}'" if scripted else "model"
        raise ModelError(
            f"{where} needs to be Python's nn.Module, not TorchScript; give the module that it was "
            f"scripted or traced from, with its weights loaded"
        )
    return model


@contextmanager
def uncompiled(model: nn.Module) -> Iterator[None]:
    """Let layers and functions inside of ``model`` that torch.compile took run as they are written.

    Compiling them takes minutes, changes no value, and some releases of PyTorch export none.
    """
    held = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent._modules.items()
        if isinstance(getattr(child, "_orig_mod", None), nn.Module)
    ]
    for parent, name, child in held:
        parent._modules[name] = plain_module(child)
    try:
        with _eager():
            yield
    finally:
        for parent, name, child in held:
            parent._modules[name] = child


@contextmanager
def _eager():
    # Who has compiled anything has loaded it; else it would cost a second.
    if "torch._dynamo" not in sys.modules:
        yield
        return
    dynamo = sys.modules["torch._dynamo"]
    # torch 2.6 lets no compiled function be traced, eager or not.
    traced = dynamo.config.patch(error_on_nested_fx_trace=False)
    with torch.compiler.set_stance("force_eager"), traced:
        yield


def fixed_batch(model: nn.Module) -> int | None:
    """The number of images that ``model`` takes at a time, where an export has fixed it."""
    # A batch that was exported as dynamic is a symbol.
    fixed = [shape[0] for shape in exported_shapes(model) if shape and isinstance(shape[0], int)]
    return fixed[0] if fixed else None


def exported_shapes(model: nn.Module) -> list[tuple[int, ...]]:
    """The shapes of the inputs of a program of torch.export, the batch first; else nothing."""
    graph = getattr(model, "graph", None)
    nodes = graph.find_nodes(op="placeholder") if isinstance(graph, fx.Graph) else []
    values = [node.meta.get("val") for node in nodes]
    return [tuple(value.shape) for value in values if isinstance(value, Tensor)]


def check_buffers(model: nn.Module) -> None:
    """Return if every buffer of reals is float32; others may be the reason why a model fails.

    Raises
    ------
    ModelError
        One has another type; the text names it.
    """
    for name, buffer in model.named_buffers():
        if buffer.dtype.is_floating_point and buffer.dtype != torch.float32:
            raise ModelError(
                f"model needs float32 buffers, but '{name}' is {buffer.dtype}; give model.float()"
            )


def check_parameters(model: nn.Module) -> None:
    """Return if every parameter has values in float32.

    Raises
    ------
    ModelError
        One has another type, or none yet; the text names it.
    """
    for name, parameter in model.named_parameters():
        if isinstance(parameter, UninitializedTensorMixin):
            raise ModelError(
                f"model needs weights, but '{name}' has no shape yet; run the model once, and load "
                f"its weights"
            )
        if parameter.is_meta:
            raise ModelError(
                f"model needs weights, but '{name}' is on device meta, without values; build it on "
                f"the CPU, and load its weights"
            )
        if parameter.dtype != torch.float32:
            raise ModelError(
                f"model needs float32 parameters, but '{name}' is {parameter.dtype}; give "
                f"model.float()"
            )
