"""Which kinds of operators a compiled network has, by what its integer graph and image say."""

from collections.abc import Iterator

from hw.spec.isa.tiles import Tiles
from qnn.design import Design
from qnn.ir.graph import Graph
from qnn.ir.ops import Conv, Operator
from qnn.ir.ops.operator import shared_operands
from qnn.ir.shape import order_of

# All that a graph or an image can have; a campaign has to reach each.
REACHED = (
    *("conv", "grouped conv", "depthwise conv", "strided conv", "dilated conv", "conv of terms"),
    *("terms by channel", "skip", "broadcast skip", "shared skip", "unrounded conv"),
    *("cut conv", "conv in reverse"),
    *("table", "table by channel", "table of a product"),
    *("product", "gate", "mask"),  # a square is a table, wherever there is one
    *("maxpool", "concat", "interleave with steps", "interleave side by side"),
    *("pixels", "image", "vector", "sequence", "tokens", "several inputs", "several outputs"),
    *("output in another order", "output finished by the host"),
    *("several instructions a layer", "strips", "channels in another order"),
    *("results of several columns at a time", "values of neighbours"),
)


def reached(design: Design) -> tuple[str, ...]:
    """The names among ``REACHED`` of all that a network makes use of, in their order."""
    lowered = design.backend.lower(design.graph)
    found = {kind for node in lowered.nodes for kind in _of_node(node, lowered)}
    found |= {*_of_graph(design.graph), *_of_image(design.artifact)}
    return tuple(kind for kind in REACHED if kind in found)


def _of_node(node: Operator, graph: Graph) -> Iterator[str]:
    match node.kind:
        case "conv":
            yield from _of_conv(node, graph)
        case "multiply":
            first, second = graph.sources(node)
            if shared_operands(node, (first, second)):
                yield "mask"
            else:
                yield "gate" if second.shape != first.shape else "product"
            if node.epilogue.table is not None:
                yield "table of a product"
        case "interleave":
            yield "interleave side by side" if node.step == (1, 1) else "interleave with steps"
        case "input":
            names = {"CHW": "image", "C": "vector", "CL": "sequence", "TC": "tokens", "L": "line"}
            yield names[node.axes]
            if node.table is not None:
                yield "pixels"
        case kind:
            yield kind


def _of_conv(node: Conv, graph: Graph) -> Iterator[str]:
    yield "conv"
    window, table = node.window, node.epilogue.table
    used = node.codes.any(axis=(2, 3, 4))
    facts = {
        "grouped conv": window.groups > 1 and not node.depthwise,
        "depthwise conv": node.depthwise,
        "strided conv": max(window.stride) > 1,
        "dilated conv": max(window.dilation) > 1,
        "cut conv": min(window.padding) < 0,
        "conv in reverse": window.backwards,
        "conv of terms": len(node.codes) > 1,
        "terms by channel": len({*used.sum(0).tolist()}) > 1,
        "unrounded conv": not node.epilogue.rounded,
        "table": table is not None,
        "table by channel": table is not None and len(table) > 1,
        "skip": node.skip is not None,
        "shared skip": bool(shared_operands(node, graph.sources(node))),
        "broadcast skip": node.skip is not None and graph[node.skip].shape != node.shape,
    }
    yield from (name for name, holds in facts.items() if holds)


def _of_graph(graph: Graph) -> Iterator[str]:
    if len(graph.inputs) > 1:
        yield "several inputs"
    if len(graph.outputs) > 1:
        yield "several outputs"
    if any(order_of(output.axes) for output in graph.outputs):
        yield "output in another order"
    if graph.host is not None and graph.host.steps:
        yield "output finished by the host"


def _of_image(image) -> Iterator[str]:
    names = [layer.name for layer in image.layers]
    if len({*names}) < len(names):
        yield "several instructions a layer"
    computed = [each for each in image.program if isinstance(each, Tiles)]
    if any(each.turns(image.config) < each.written for each in computed):
        yield "results of several columns at a time"
    if any(each.neighbours for each in computed):
        yield "values of neighbours"
    if image.scratch_bytes:
        yield "strips"
    if any(layer.order is not None for layer in image.layers):
        yield "channels in another order"
