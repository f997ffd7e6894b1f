"""Pass: from some layer on, images of a batch lie below each other and are computed together.

The columns of the array compute neighbouring pixels, so that a linear layer would use one of them,
and load its weights for each image anew. With the images as rows of one tensor, columns are images,
a step serves as many, and weights come once for all of them. Memory holds tensors row by row: to
the host every image lies as it would alone.

A network is one part, or two: layers that compute an image at a time, and those behind that compute
several. Between the two is one tensor, which memory holds for all of these images.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from typing import NamedTuple

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer
from hw.spec.tensors import Layer, TensorLayout
from qnn.compiler.compilation import Compilation
from qnn.compiler.lower import COORDINATE_LIMIT
from qnn.compiler.part import NetworkPart
from qnn.compiler.segments import block_count, segments
from qnn.compiler.shared_values import shared_values
from qnn.compiler.steps import Steps, steps, tile_cycles
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Conv, Input, Operator

# Of a network's cycles, what computing images together must save: the estimate is no closer.
LEAST_GAIN = 0.02


def stack_images(state: Compilation) -> Compilation:
    """The state with the parts of its network."""
    graph, batch = state.graph, state.batch
    first = _first_together(state)
    if first == len(graph.nodes):
        return replace(state, parts=(NetworkPart(graph=graph, images=1, turns=batch),))
    images = _most_images(graph.nodes[first:], state)
    if first == 0:
        whole = Graph(_stacked(graph, 0, images), _outputs(graph, graph.nodes, images))
        return replace(
            state, parts=(NetworkPart(graph=whole, images=images, turns=batch // images),)
        )
    between = graph.nodes[first - 1]
    before = graph.nodes[:first]
    outputs = (*_outputs(graph, before), Output(between.name, between.shape))
    head = NetworkPart(graph=Graph(before, outputs), images=1, turns=batch, gives=between.name)
    given = Input(name=between.name, shape=_of_all(between, images), type=between.type)
    behind = graph.nodes[first:]
    tail = NetworkPart(
        graph=Graph((given, *_stacked(graph, first, images)), _outputs(graph, behind, images)),
        images=images,
        turns=batch // images,
        takes=between.name,
    )
    return replace(state, parts=(head, tail))


def of_each_image(layout: TensorLayout, count: int) -> tuple[TensorLayout, ...]:
    """The places that ``count`` images have in that of all of them."""
    rows, gather = layout.height // count, layout.gather
    if gather is not None:
        channels, height, width = gather.shape
        gather = replace(gather, shape=(channels, height // count, width))
    one = replace(layout, height=rows, gather=gather)
    step = rows * layout.pitch
    return tuple(replace(one, address=layout.address + n * step) for n in range(count))


def of_images(layer: Layer, part: NetworkPart) -> Layer:
    """The layer as one of images of which so many lie below each other in its tensor."""
    if part.images == 1:
        return layer
    height = part.graph[layer.name].shape[1] // part.images
    return replace(layer, image=layer.image * part.images, image_height=height)


class _Work(NamedTuple):
    """What a layer takes: cycles of a tile of all columns, cycles of its weights' load, pixels."""

    tile: int
    load: float
    pixels: int

    def cycles(self, images: int, columns: int) -> float:
        """For each of so many images: the array waits for weights that it has not got."""
        return max(ceil(images * self.pixels / columns) * self.tile, self.load) / images


def _first_together(state: Compilation) -> int:
    """The number of the first node of those that compute several images at a time."""
    graph, config = state.graph, state.config
    count = len(graph.nodes)
    cuts = [number for number in _cuts(graph) if number < count]
    least = _first_stackable(graph)
    images = _most_images(graph.nodes[least:], state) if least < count else 1
    if images == 1:
        return count
    works = _works(state)
    apart = sum(work.cycles(1, config.columns) for work in works)
    saved, gains = 0.0, {}
    for number in range(count - 1, least - 1, -1):
        work = works[number]
        saved += work.cycles(1, config.columns) - work.cycles(images, config.columns)
        gains[number] = saved
    gain, first = max(
        ((gains[cut] - _handed(graph, cut, state), cut) for cut in cuts if cut >= least),
        default=(0.0, count),
    )
    return first if gain > LEAST_GAIN * apart else count


def _cuts(graph: Graph) -> Iterator[int]:
    """Numbers of nodes before which the network may be cut: 0, and where one tensor goes on."""
    yield 0
    number_of = {node.name: number for number, node in enumerate(graph.nodes)}
    last = list(range(len(graph.nodes)))  # that reads each
    for number, node in enumerate(graph.nodes):
        for name in node.inputs:
            last[number_of[name]] = number
    of, outputs = segments(graph), {output.name for output in graph.outputs}
    apart = shared_values(graph) | outputs
    reach = 0  # of all nodes but the newest
    for number, node in enumerate(graph.nodes[:-1]):
        # It is an input behind the cut: in a place of its own, and in the lanes of one.
        plain = node.is_computed and node.rounded and of[node.name] == (node.shape[0],)
        placed = any(not user.is_computed for user in graph.users(node.name))
        if reach <= number and plain and not placed and node.name not in apart:
            yield number + 1
        reach = max(reach, last[number])


def _first_stackable(graph: Graph) -> int:
    """The first node from which on every one may be of several images."""
    number = len(graph.nodes)
    while number and _one_stacked(graph, graph.nodes[number - 1], 2) is not None:
        number -= 1
    return number


def _handed(graph: Graph, cut: int, state: Compilation) -> float:
    """Cycles that the tensor before a cut takes to memory, or from there, for each image."""
    if cut == 0:
        return 0.0
    channels, height, width = graph.nodes[cut - 1].shape
    words = block_count((channels,), state.config.lanes) * height * width
    return words * Buffer.FEATURES.word_bytes(state.config) / state.bytes_per_cycle


def _works(state: Compilation) -> list[_Work]:
    graph, config = state.graph, state.config
    of = {n.name: _steps(n, graph, config) for n in graph.nodes if n.is_computed}
    words = {conv.name: _words(conv, of[conv.name]) for conv in graph.convs}
    groups = sum(sum(of[name].values()) for name in words)
    # Weights that all fit on chip come once for a batch in any case.
    stay = sum(words.values()) <= config.weight_words and groups <= config.parameter_words
    size = 0 if stay else Buffer.WEIGHTS.word_bytes(config) / state.bytes_per_cycle
    return [
        _Work(
            tile_cycles(node, config.columns, of[node.name], config) if node.name in of else 0,
            words.get(node.name, 0) * size,
            node.shape[1] * node.shape[2],
        )
        for node in graph.nodes
    ]


def _steps(node: Operator, graph: Graph, config: SvpeConfig) -> Steps:
    return steps(node, (graph[node.inputs[0]].shape[0],), (node.shape[0],), config)


def _words(node: Conv, taken: Steps) -> int:
    """The weight words of a layer that takes such steps."""
    # Averages and copies have one word for all steps of a group.
    if (node.codes == node.codes.flat[0]).all():
        return sum(taken.values())
    return sum(count * (each - (node.skip is not None)) for each, count in taken.items())


def _most_images(nodes: tuple[Operator, ...], state: Compilation) -> int:
    """The most images of which a batch has a whole number, and whose rows can be counted."""
    names = {name for node in nodes for name in (node.name, *node.inputs)}
    height = max(state.graph[name].shape[1] for name in names)
    # The last tile may reach beyond the last image.
    most = min(state.batch, COORDINATE_LIMIT // height - state.config.columns)
    return max((n for n in range(1, most + 1) if state.batch % n == 0), default=1)


def _one_stacked(graph: Graph, node: Operator, images: int) -> Operator | None:
    return node.stacked(images, graph.sources(node))


def _stacked(graph: Graph, first: int, images: int) -> tuple[Operator, ...]:
    return tuple(_one_stacked(graph, node, images) for node in graph.nodes[first:])


def _of_all(node: Operator, images: int) -> tuple[int, int, int]:
    channels, height, width = node.shape
    return channels, height * images, width


def _outputs(graph: Graph, nodes: tuple[Operator, ...], images: int = 1) -> tuple[Output, ...]:
    """The network's outputs that some nodes are, as tensors; their axes are one image's."""
    own = {node.name: _of_all(node, images) for node in nodes}
    return tuple(Output(each.name, own[each.name]) for each in graph.outputs if each.name in own)
