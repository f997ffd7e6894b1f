"""Inputs of an exported program: images, vectors, sequences and tokens."""

from torch import fx

from qnn.frontend.aten.calls import block_shape, fits
from qnn.frontend.faults import Fault, FaultyModel, Site, site_of
from qnn.frontend.ops.input import FloatInput
from qnn.frontend.views import Held, View, whole
from qnn.frontend.volumes import VOLUME


def input_of(node: fx.Node, batch: int, tokens: bool) -> FloatInput:
    """The input that a placeholder is; of three axes a sequence, or with ``tokens`` tokens.

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
    if node.meta["val"].dim() != 3:
        return FloatInput(name=node.name, shape=shape)
    if not tokens:
        return FloatInput(name=node.name, shape=shape, axes="CL")
    return FloatInput(name=node.name, shape=(shape[1], shape[0], 1), axes="TC")


def as_given(node: fx.Node, source: FloatInput) -> Held:
    """The tensor that the user gives: the input, or a view where its channels come last."""
    given = tuple(node.meta["val"].shape)
    if len(given) == VOLUME:
        return whole(source, given)
    if source.axes != "TC":
        return source
    index = whole(source, (len(node.meta["val"]), *source.shape[:2])).index.movedim(1, 2)
    return View(node.name, site_of(node), (source,), index)
