"""Nodes of a QONNX file that move, select or look up values."""

from dataclasses import replace
from typing import Any

import numpy as np

from qnn.interchange.qonnx_reader import INT64, REALS, QonnxReader, ReadNode
from qnn.interchange.qonnx_values import (
    GivenInput,
    LaidOut,
    Line,
    LookedUp,
    Padded,
    PixelList,
    RoundedLine,
    Settled,
    Shifted,
    TableIndex,
)
from qnn.interchange.qonnx_windows import (
    interleave_of,
    pads_of,
    window_of,
)
from qnn.ir.ops import Concat, MaxPool


def constant(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """The value of the node."""
    return node.get("value", None)


def cast(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """Whole numbers that look up a table, or the same value in another type."""
    (x,) = operands
    # float32 to float64 and back changes no number that is exact in both.
    if node.get("to", None) in REALS:
        return x
    # Of other tensors a cast to integers would cut off.
    if node.get("to", None) != INT64 or not isinstance(x, RoundedLine | Shifted):
        return None
    places, rounded = (x.places, x.value) if isinstance(x, Shifted) else (np.zeros(1), x)
    if not isinstance(rounded, RoundedLine) or (places != rounded.type.exponent).any():
        return None
    return TableIndex(rounded, np.zeros(1, np.int64))


def gather(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """What a table has, or pixels in another order."""
    values, places = operands
    if isinstance(values, np.ndarray) and isinstance(places, TableIndex):
        rows, first = len(places.first), places.first
        if values.ndim != 1 or values.size % rows or (np.diff(first) != values.size // rows).any():
            return None
        # What was added takes the least index to the first entry.
        rounded = replace(places.rounded, start=-int(first[0]))
        return LookedUp(rounded, values.astype(np.float64).reshape(rows, -1))
    if (
        isinstance(values, PixelList)
        and isinstance(places, np.ndarray)
        and node.get("axis", 0) == 2
    ):
        return replace(values, places=places.ravel().astype(np.int64))
    return None


def pad(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """A tensor with a border."""
    x, pads, *value = operands
    pads = np.ravel(pads).tolist() if isinstance(pads, np.ndarray) else []
    if len(pads) != 8 or any((*pads[:2], *pads[4:6])) or node.get("mode", "constant") != "constant":
        return None
    # Axes of its own would give the pads another order.
    if len(value) > 1:
        return None
    # ONNX has all beginnings first, and then all ends.
    _, _, top, left, _, _, bottom, right = pads
    value = float(np.ravel(value[0])[0]) if value and np.size(value[0]) else 0.0
    return Padded(reader.tensor(x, node.place), (top, bottom, left, right), value)


def max_pool(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """The maximum over each window."""
    (x,) = operands
    padding = pads_of(node.place, node.attributes)
    operand = x.node if isinstance(x, Padded) else reader.tensor(x, node.place)
    if isinstance(x, Padded):
        # A border that never wins, as our pooling has it.
        if np.ldexp(x.value, operand.type.exponent) > operand.type.low or any(padding):
            return None
        padding = x.padding
    window = window_of(node, node.get("kernel_shape", ()), padding, 1)
    shape = (operand.shape[0], *window.output_size(operand.shape[1:]))
    common = {"name": node.place.name, "inputs": (operand.name,), "window": window}
    return reader.add(node.place, MaxPool(**common, shape=shape, type=operand.type))


def concat(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """Channels of several tensors, or their pixels."""
    # Along pixels it is the first half of an interleave.
    if node.get("axis", 1) == 2:
        flat = all(isinstance(each, LaidOut) and not each.moved for each in operands)
        return PixelList(tuple(each.value.node for each in operands)) if flat else None
    if node.get("axis", 1) not in (1, -3):
        return None
    nodes = tuple(reader.tensor(each, node.place) for each in operands)
    shape = (sum(each.shape[0] for each in nodes), *nodes[0].shape[1:])
    names = tuple(each.name for each in nodes)
    made = Concat(name=node.place.name, inputs=names, shape=shape, type=nodes[0].type)
    return reader.add(node.place, made)


def reshape(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """A tensor in another shape, or pixels that have found their places."""
    x, *sizes = operands
    shape = tuple(np.ravel(sizes[0]).tolist()) if sizes else (1, -1)
    if isinstance(x, GivenInput):
        # Blocks follow from the axes; of other files all values may become a vector.
        known = x.name in reader.axes or len(shape) == 2 or shape[1:] == x.shape
        return x if known else None
    if isinstance(x, PixelList) and x.places is not None:
        return reader.add(node.place, interleave_of(node.place, x, shape))
    if isinstance(x, LaidOut):
        return replace(x, shape=shape)
    if isinstance(x, RoundedLine):
        x = Settled(reader.tensor(x, node.place))
    return LaidOut(x, shape) if isinstance(x, Settled | Line) else None


def transpose(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """A tensor whose axes have changed places."""
    (x,) = operands
    # Tokens; their axes stand beside, and the block follows from them.
    if isinstance(x, GivenInput):
        return x if x.name in reader.axes else None
    if isinstance(x, RoundedLine):
        x = Settled(reader.tensor(x, node.place))
    if isinstance(x, LaidOut):
        return replace(x, moved=True)
    return LaidOut(x, (), moved=True) if isinstance(x, Settled | Line) else None


def same(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """The operand."""
    return operands[0]
