"""Pass: images of a batch lie below each other, where their layers give too few pixels.

The columns of the array compute neighbouring pixels, so that a network of linear layers would use
one of them, and load its weights for each image anew. With the images as rows of one tensor,
columns are images, and a step serves as many. Memory holds tensors row by row: to the host every
image lies as it would alone.
"""

from dataclasses import replace
from math import ceil

from hw.spec.config import SvpeConfig
from hw.spec.tensors import Layer, TensorLayout
from qnn.compiler.compilation import Compilation
from qnn.compiler.lower import COORDINATE_LIMIT
from qnn.ir.graph import Graph, Output


def stack_images(state: Compilation) -> Compilation:
    """The state with a graph of several images, and fewer of these in the batch."""
    images = _most_images(state)
    if not _pays(state.graph, images, state.config):
        return state
    graph = _stacked(state.graph, images)
    if graph is None:
        return state
    batch = state.batch // images
    return replace(state, graph=graph, given=state.graph, batch=batch, stacked=images)


def of_each_image(layout: TensorLayout, count: int) -> tuple[TensorLayout, ...]:
    """The places that ``count`` images have in that of all of them."""
    rows, gather = layout.height // count, layout.gather
    if gather is not None:
        channels, height, width = gather.shape
        gather = replace(gather, shape=(channels, height // count, width))
    one = replace(layout, height=rows, gather=gather)
    step = rows * layout.pitch
    return tuple(replace(one, address=layout.address + n * step) for n in range(count))


def of_images(layer: Layer, state: Compilation) -> Layer:
    """The layer as one of images of which so many lie below each other in its tensor."""
    if state.stacked == 1:
        return layer
    height = state.graph[layer.name].shape[1] // state.stacked
    return replace(layer, image=layer.image * state.stacked, image_height=height)


def _most_images(state: Compilation) -> int:
    """The most images of which a batch has a whole number, and whose rows can be counted."""
    height = max(node.shape[1] for node in state.graph.nodes)
    # The last tile may reach beyond the last image.
    most = min(state.batch, COORDINATE_LIMIT // height - state.config.columns)
    return max((n for n in range(1, most + 1) if state.batch % n == 0), default=1)


def _pays(graph: Graph, images: int, config: SvpeConfig) -> bool:
    """Whether columns do a quarter more with so many images together, products counted."""
    apart = together = 0
    for node in graph.nodes:
        pixels = node.shape[1] * node.shape[2]
        apart += images * ceil(pixels / config.columns) * node.macs // pixels
        together += ceil(images * pixels / config.columns) * node.macs // pixels
    return 4 * apart >= 5 * together > 0


def _stacked(graph: Graph, images: int) -> Graph | None:
    nodes = {node.name: node.stacked(images, graph.sources(node)) for node in graph.nodes}
    if None in nodes.values():
        return None
    # What the host makes of outputs, and the axes of its arrays, are those of one image.
    outputs = tuple(Output(each.name, nodes[each.name].shape) for each in graph.outputs)
    return Graph(tuple(nodes.values()), outputs)
