"""Inputs that are no images: states whose images lie along their second axis, and single numbers.

Recurrent layers have states (layers, images, hidden). A module has the images of all its inputs
first; the transposition that the file's nodes need costs nothing. A number, as a sampling rate that
decides which of two networks is meant, is a constant of the network that is compiled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.frontend.onnx.graph import OnnxGraph, OnnxInput, OnnxNode

STATE = 3  # axes of a state
SWAPPED = (1, 0, 2)


def with_numbers(
    graph: OnnxGraph, given: Sequence[tuple[int, ...] | float] | None
) -> tuple[OnnxGraph, list[tuple[int, ...]] | None, Mapping[str, Tensor]]:
    """The graph with its inputs that are one number as constants, the other shapes, the numbers.

    Parameters
    ----------
    given : for each input its shape, or the number that it is

    Raises
    ------
    ModelError
        A number is not given, or given for what is none.
    """
    single = [each.name for each in graph.inputs if not each.shape]
    if given is None or len(given) != len(graph.inputs):
        if single and len(single) < len(graph.inputs):
            every = ", ".join(f"'{each.name}'" for each in graph.inputs)
            raise ModelError(
                f"input '{single[0]}' needs the number that the network is compiled for; give "
                f"--input-shape once for each of {every}, and of those that are numbers =16000"
            )
        return graph, None if given is None else [*given], {}
    numbers, shapes = {}, []
    for source, each in zip(graph.inputs, given, strict=True):
        if isinstance(each, int | float) != (not source.shape):
            needs = "a shape" if source.shape else "a number, as =16000"
            raise ModelError(f"input '{source.name}' needs {needs}, not {each}; correct it")
        if source.shape:
            shapes.append(tuple(each))
        else:
            kind = torch.float32 if source.real else torch.int64
            numbers[source.name] = torch.tensor(each, dtype=kind)
    inputs = tuple(each for each in graph.inputs if each.shape)
    return replace(graph, inputs=inputs, constants={**graph.constants, **numbers}), shapes, numbers


def images_first(graph: OnnxGraph) -> tuple[OnnxGraph, dict[str, Sequence[int]]]:
    """The graph with the images of its states first, and the orders of those that it changed."""
    orders = {}
    for source in graph.inputs[1:]:
        if _is_state(source, graph.inputs[0]):
            graph = _turned(graph, source)
            orders[source.name] = SWAPPED
    return graph, orders


def _is_state(source: OnnxInput, first: OnnxInput) -> bool:
    """Whether images lie along the second of three axes."""
    if len(source.shape) != STATE or not first.shape:
        return False
    named, images = first.names[0], first.shape[0]
    # By the name of the axis, where exporters write one.
    if named and named in source.names[:2]:
        return source.names[0] != named
    layers, count, _ = source.shape
    # Files that leave the number of images free may have states for one.
    alike = count == images or (images is None and count == 1)
    return alike and layers not in (None, images)


def _turned(graph: OnnxGraph, source: OnnxInput) -> OnnxGraph:
    # What the nodes read keeps its name, also in branches.
    taken = replace(
        source,
        name=f"{source.name} with images first",
        title=source.name,
        shape=tuple(source.shape[axis] for axis in SWAPPED),
        names=tuple(source.names[axis] for axis in SWAPPED),
    )
    turn = OnnxNode(
        name=f"{source.name}_turned",
        kind="Transpose",
        inputs=(taken.name,),
        outputs=(source.name,),
        attributes={"perm": [*SWAPPED]},
        opset=graph.nodes[0].opset,
    )
    inputs = tuple(taken if each is source else each for each in graph.inputs)
    return replace(graph, nodes=(turn, *graph.nodes), inputs=inputs)
