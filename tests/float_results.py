"""What a float graph gives the user, as the model gives it: the network's part and the host's."""

from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import stream
from qnn.host.results import host_results
from qnn.ir.shape import laid_out
from qnn.tasks.structures import tensors_of

Of = TypeVar("Of")  # tensors, or what is made of such: tuples, operators, a graph


def float_results(graph: FloatGraph, *images: Tensor) -> tuple[Tensor, ...]:
    """One tensor for each that the model gives, (images, ...), the host's steps in float32."""
    names = [output.name for output in graph.outputs]
    values = {name: value for name, value in stream(graph, *images) if name in names}
    parts = [laid_out(values[each.name], each.axes, each.shape) for each in graph.outputs]
    axes = [output.axes for output in graph.outputs]
    return tensors_of(host_results(parts, axes, graph.host, torch))


def in_float64(given: Of) -> Of:
    """The same with all its real tensors in float64."""
    if isinstance(given, Tensor):
        return given.double() if given.is_floating_point() else given
    if isinstance(given, tuple):
        return tuple(map(in_float64, given))
    if not is_dataclass(given):
        return given
    own = {f.name: in_float64(getattr(given, f.name)) for f in fields(given) if f.init}
    return replace(given, **own)
