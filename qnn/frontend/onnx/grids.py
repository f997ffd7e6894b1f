"""The types that a QONNX file's quantizers have, of those on grids of powers of two."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import frexp, isfinite

from torch import fx, nn

from qnn.frontend.onnx.call import OnnxCall
from qnn.frontend.onnx.graph import OnnxNode
from qnn.frontend.onnx.qonnx_quantizers import integer_bounds
from qnn.frontend.onnx.walk import ShapeWalk

MARK = "_grid"  # of a module


@dataclass(frozen=True)
class GridType:
    """Integers ``low`` to ``high`` less the zero point, each worth ``2**-exponent``."""

    bits: int
    signed: bool
    exponent: int
    zero_point: int
    low: int
    high: int

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest real."""
        return self.low * 2.0**-self.exponent, self.high * 2.0**-self.exponent


@dataclass(frozen=True)
class FileGrid:
    """Of inputs by their place, where a quantizer reads them, and of activations."""

    inputs: Mapping[int, GridType]
    activations: tuple[GridType, ...]


def grid_of(module: object) -> FileGrid | None:
    """The grid of the file that a module was read from to be quantized anew; None: of no such."""
    return getattr(module, MARK, None)


def mark_grid(module: fx.GraphModule, walk: ShapeWalk) -> nn.Module:
    """The module, with a note of the types that its file has."""
    places = {each.name: place for place, each in enumerate(walk.graph.inputs)}
    inputs, activations = {}, []
    for node in walk.steps:
        type = _type(walk, node)
        if type is not None and node.inputs[0] in places:
            inputs[places[node.inputs[0]]] = type
        elif type is not None:
            activations.append(type)
    setattr(module, MARK, FileGrid(inputs, tuple(activations)))
    return module


def _type(walk: ShapeWalk, node: OnnxNode) -> GridType | None:
    """The type of a quantizer on a grid of powers of two."""
    if node.kind not in ("Quant", "IntQuant"):
        return None
    values = [walk.values[name] for name in node.inputs]
    scale, zero = values[1].tensor, values[2].tensor
    if not (values[1].constant and values[2].constant) or scale.numel() != 1 or zero.numel() != 1:
        return None
    call = OnnxCall(node, [each.tensor for each in values], [each.numbers for each in values], ())
    low, high = integer_bounds(call)
    step, zero, bits = float(scale), float(zero), int(call.number(3))
    if bits < 2 or zero % 1 or not isfinite(step) or frexp(step)[0] != 0.5:
        return None
    zero, signed = int(zero), bool(node.attributes.get("signed", 1))
    # An unsigned type stores 0 as its least integer, and so does ours.
    if zero and not signed:
        return None
    return GridType(bits, signed, 1 - frexp(step)[1], zero, low - zero, high - zero)
