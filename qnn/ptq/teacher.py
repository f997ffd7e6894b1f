"""The float network as a teacher: its answers, and what it holds inside."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.run import stream, unfinished_of
from qnn.nn.memory_format import channels_last
from qnn.nn.preprocess import Pixels
from qnn.ptq.data import as_images
from qnn.ptq.swift_conv import SwiftConv
from qnn.quant.rounding import Answers, Batch


class Teacher:
    """Answers of a float graph.

    Parameters
    ----------
    graph : of the float network; its nodes have the names of the layers
    pixels : what 8-bit pixels of each input stand for; None: it takes reals
    device : where it computes
    """

    def __init__(
        self,
        graph: FloatGraph,
        pixels: Sequence[Pixels | None],
        device: torch.device | str,
    ):
        nodes = (SwiftConv.of(n) if isinstance(n, FloatConv) else n for n in graph.nodes)
        self._graph = replace(graph, nodes=tuple(_moved(node, device) for node in nodes))
        self._pixels = pixels

    @torch.no_grad()
    def __call__(self, given: Batch, inner: Sequence[str] = ()) -> Answers:
        """Answers for (batch, channels, height, width) or (batch, features) of each input.

        Parameters
        ----------
        given : 8-bit pixels or reals
        inner : names of tensors inside to give too
        """
        reals = map(_reals, given, self._pixels)
        # As the student computes, so that both run the same kernels.
        images = [channels_last(each) for each in reals]
        wanted = {*inner, *(output.name for output in self._graph.outputs)}
        values = {name: value for name, value in stream(self._graph, *images) if name in wanted}
        outputs = unfinished_of(self._graph, values)
        return Answers(outputs, {name: values[name] for name in inner})


def _reals(x, pixels):
    x = as_images(x)
    return pixels.reals(x) if x.dtype == torch.uint8 else x.float()


def _moved(value, device):
    if isinstance(value, Tensor):
        return value.detach().to(device)
    if not is_dataclass(value):
        return value
    # Node by node, through nested values: a graph is frozen, and so is made anew.
    held = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
    return replace(value, **{name: _moved(part, device) for name, part in held.items()})
