"""Inputs of an exported program: images, vectors, sequences, tokens and lines of samples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor, fx

from qnn.frontend.aten.calls import block_shape, fits
from qnn.frontend.faults import Fault, FaultyModel, Site, site_of
from qnn.frontend.ops.input import FloatInput
from qnn.frontend.views import Held, View, whole
from qnn.frontend.volumes import VOLUME


@dataclass(frozen=True)
class Reading:
    """What the axes of inputs may mean, as only what is done with them tells.

    Members
    -------
    tokens : whether inputs of three axes are (batch, tokens, channels)
    lines : whether inputs of two axes are (batch, samples), and not (batch, channels)
    cuts : whether views may be cut into pieces
    """

    tokens: bool = False
    lines: bool = False
    cuts: bool = True


def readings_of(nodes: Sequence[Tensor]) -> tuple[Reading, ...]:
    """All readings of inputs of such shapes, those that lead to the simplest networks first."""
    axes = {each.dim() for each in nodes}
    # What no sequence (channels, length) can be, tokens (tokens, channels) may be. Either is better
    # than what has to be cut into pieces.
    found = [Reading()]
    if 3 in axes:
        found = [
            Reading(cuts=False),
            Reading(tokens=True, cuts=False),
            Reading(tokens=True),
            *found,
        ]
    # A waveform is one channel, which convolutions slide along.
    if 2 in axes:
        found += [replace(each, lines=True) for each in found]
    return tuple(found)


def input_of(node: fx.Node, batch: int, reading: Reading) -> FloatInput:
    """The input that a placeholder is, by a reading of its axes.

    Raises
    ------
    FaultyModel
        It has other axes than any of these.
    """
    shape = tuple(node.meta["val"].shape[1:])
    if len(shape) == VOLUME - 1:
        channels, frames, height, width = shape
        block = (channels * frames, height, width)
        return FloatInput(name=node.name, shape=block, axes=f"C{frames}HW")
    if not fits(node, batch):
        axes = ", ".join(["batch", *map(str, shape)])
        problem = (
            f"input '{node.name}' needs shape (batch, channels, height, width), (batch, channels, "
            f"depth, height, width), (batch, channels, length) or (batch, features), not ({axes})"
        )
        raise FaultyModel([Fault(Site("", ""), problem, "join the axes that are more")])
    shape = block_shape(node, batch)
    if node.meta["val"].dim() == 2 and reading.lines and shape[0] > 1:
        return FloatInput(name=node.name, shape=(1, shape[0], 1), axes="L")
    if node.meta["val"].dim() != 3:
        return FloatInput(name=node.name, shape=shape)
    if not reading.tokens:
        return FloatInput(name=node.name, shape=shape, axes="CL")
    return FloatInput(name=node.name, shape=(shape[1], shape[0], 1), axes="TC")


def as_given(node: fx.Node, source: FloatInput) -> Held:
    """The tensor that the user gives: the input, or a view where its axes lie otherwise."""
    given = tuple(node.meta["val"].shape)
    if len(given) == VOLUME or source.axes == "L":
        return whole(source, given)
    if source.axes != "TC":
        return source
    index = whole(source, (len(node.meta["val"]), *source.shape[:2])).index.movedim(1, 2)
    return View(node.name, site_of(node), (source,), index)
