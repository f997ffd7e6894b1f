"""Fusion: the float graph reduced to inputs, convolutions, maximum pooling and concatenation.

Each pass is one function; none changes what the network computes, except that an average's
divisor may move into the weights behind it.
"""

from collections.abc import Callable
from dataclasses import replace

import torch

from qnn.frontend.float_graph import (
    Add,
    AveragePool,
    BatchNorm,
    Clamp,
    Concat,
    Conv,
    Flatten,
    Graph,
    Input,
    MaxPool,
    Node,
    Pad,
    Slice,
)


def identity(name: str, source: Node, **changes) -> Conv:
    """A convolution that copies ``source`` channel by channel."""
    channels = source.shape[0]
    return Conv(
        **{
            "name": name,
            "inputs": (source.name,),
            "shape": source.shape,
            "weight": torch.ones(channels, 1, 1, 1),
            "groups": channels,
            "fixed": True,
        }
        | changes
    )


def _channel_copy(inputs: int, front: int, behind: int) -> torch.Tensor:
    """Weights (front + inputs + behind, inputs, 1, 1) that place the inputs among zeros."""
    weight = torch.zeros(front + inputs + behind, inputs, 1, 1)
    weight[front + torch.arange(inputs), torch.arange(inputs)] = 1
    return weight


def _repeat(step: Callable[[Graph, Node], Graph | None]) -> Callable[[Graph], Graph]:
    """A pass that applies ``step`` to the first node where it gives a graph, until none is left."""

    def apply(graph: Graph) -> Graph:
        changed: Graph | None = graph
        while changed is not None:
            graph = changed
            found = (step(graph, node) for node in graph.nodes)
            changed = next((result for result in found if result is not None), None)
        return graph

    return apply


def fold_batchnorm(graph: Graph) -> Graph:
    """Each normalisation joins the convolution that only it reads, or becomes a diagonal one."""

    def step(graph, node):
        if not isinstance(node, BatchNorm):
            return None
        source = graph[node.inputs[0]]
        free = isinstance(source, Conv) and source.batchnorm is None and not source.fixed
        if free and graph.uses(source.name) == 1:
            joined = replace(source, batchnorm=node.statistics)
            return graph.rebuilt({source.name: (joined,), node.name: ()}, {node.name: source.name})
        alone = Conv(
            name=node.name,
            inputs=node.inputs,
            shape=node.shape,
            weight=torch.ones(node.shape[0], 1, 1, 1),
            batchnorm=node.statistics,
            groups=node.shape[0],
            fixed=True,
        )
        return graph.rebuilt({node.name: (alone,)})

    return _repeat(step)(graph)


def hoist_clamps(graph: Graph) -> Graph:
    """A clamp behind maximum pooling, flatten, slice or pad moves before it, where equal."""

    def step(graph, node):
        if not isinstance(node, Clamp):
            return None
        moved = graph[node.inputs[0]]
        if not isinstance(moved, (MaxPool, Flatten, Slice, Pad)) or graph.uses(moved.name) != 1:
            return None
        if isinstance(moved, Pad) and not (node.low or 0) <= 0 <= (node.high or 0):
            return None
        return _swapped(graph, node, moved)

    return _repeat(step)(graph)


def _swapped(graph, clamp, moved):
    """The clamp, which alone reads ``moved``, before it."""
    nodes = []
    for node in graph.nodes:
        if node is moved:
            source = graph[moved.inputs[0]]
            first = replace(clamp, inputs=moved.inputs, shape=source.shape)
            nodes += [first, replace(moved, inputs=(clamp.name,))]
        elif node is not clamp:
            reads = (moved.name if name == clamp.name else name for name in node.inputs)
            nodes.append(replace(node, inputs=tuple(reads)))
    outputs = (replace(o, name=moved.name) if o.name == clamp.name else o for o in graph.outputs)
    return Graph(tuple(nodes), tuple(outputs))


def fold_flatten(graph: Graph) -> Graph:
    """A linear or diagonal layer behind a flatten takes the whole image as its kernel."""

    def step(graph, node):
        if not isinstance(node, Flatten):
            return None
        source = graph[node.inputs[0]]
        users = graph.users(node.name)
        if source.shape[1:] == (1, 1) or not users:
            return graph.rebuilt({node.name: ()}, {node.name: source.name})
        replaced = {u.name: (_whole_image(u, source),) for u in users if _is_linear(u)}
        replaced |= {u.name: (_each_value(u, source),) for u in users if _is_diagonal(u)}
        if len(replaced) < len(users):
            replaced[node.name] = (_each_value(identity(node.name, node), source),)
            return graph.rebuilt(replaced)
        return graph.rebuilt(replaced | {node.name: ()}, {node.name: source.name})

    return _repeat(step)(graph)


def _is_linear(node):
    whole = isinstance(node, Conv) and node.weight.shape[2:] == (1, 1) and node.groups == 1
    return whole and not any(node.padding)


def _is_diagonal(node):
    diagonal = isinstance(node, Conv) and node.fixed and node.weight.shape[1:] == (1, 1, 1)
    return diagonal and node.groups == node.shape[0] and node.skip is None


def _each_value(conv, source):
    """A diagonal layer on a flattened image, reading the image: an output for each value."""
    channels, height, width = source.shape
    place = torch.eye(height * width).reshape(-1, 1, height, width).repeat(channels, 1, 1, 1)
    return replace(conv, inputs=(source.name,), weight=conv.weight * place, groups=channels)


def _whole_image(conv, source):
    weight = conv.weight.reshape(-1, *source.shape)
    return replace(conv, inputs=(source.name, *conv.inputs[1:]), weight=weight)


def move_divisors(graph: Graph) -> Graph:
    """A divisor that is no power of two moves into the weights of the one layer behind it."""

    def step(graph, node):
        if not isinstance(node, AveragePool) or node.divisor & (node.divisor - 1) == 0:
            return None
        last = node
        while graph.uses(last.name) == 1 and graph.users(last.name):
            (last,) = graph.users(last.name)
            if isinstance(last, Conv) and not last.fixed:
                scaled = replace(last, scale=last.scale / node.divisor)
                return graph.rebuilt({node.name: (replace(node, divisor=1),), last.name: (scaled,)})
            relu = isinstance(last, Clamp) and last.low == 0 and last.high is None
            if not relu and not isinstance(last, Flatten):
                return None
        return None

    return _repeat(step)(graph)


def lower_pools(graph: Graph) -> Graph:
    """Average pooling becomes a convolution of each channel with equal weights."""
    pools = [node for node in graph.nodes if isinstance(node, AveragePool)]
    lowered = {
        node.name: (
            identity(
                node.name,
                graph[node.inputs[0]],
                shape=node.shape,
                weight=torch.full((node.shape[0], 1, *node.kernel), 1 / node.divisor),
                stride=node.stride,
                padding=node.padding,
            ),
        )
        for node in pools
    }
    return graph.rebuilt(lowered)


def fold_pads(graph: Graph) -> Graph:
    """Zeros around the image become padding of the convolutions that read them."""

    def step(graph, node):
        if not isinstance(node, Pad) or any(node.channels):
            return None
        convs = [
            u for u in graph.users(node.name) if isinstance(u, Conv) and u.inputs[0] == node.name
        ]
        replaced = {
            conv.name: (
                replace(
                    conv,
                    inputs=(node.inputs[0], *conv.inputs[1:]),
                    padding=tuple(a + b for a, b in zip(conv.padding, node.padding, strict=True)),
                ),
            )
            for conv in convs
        }
        alone = graph.uses(node.name) == len(convs)
        source = graph[node.inputs[0]]
        copy = identity(node.name, source, shape=node.shape, padding=node.padding)
        return graph.rebuilt(replaced | {node.name: () if alone else (copy,)})

    return _repeat(step)(graph)


def lower_shortcuts(graph: Graph) -> Graph:
    """Added zero channels, with a slice before them, become one convolution that copies."""

    def step(graph, node):
        if not isinstance(node, Pad) or not any(node.channels):
            return None
        source, stride, gone = graph[node.inputs[0]], (1, 1), {}
        if isinstance(source, Slice) and not any(node.padding) and graph.uses(source.name) == 1:
            stride, gone = source.stride, {source.name: ()}
            source = graph[source.inputs[0]]
        copy = Conv(
            name=node.name,
            inputs=(source.name,),
            shape=node.shape,
            weight=_channel_copy(source.shape[0], *node.channels),
            stride=stride,
            padding=node.padding,
            fixed=True,
        )
        return graph.rebuilt({node.name: (copy,)} | gone)

    return _repeat(step)(graph)


def lower_slices(graph: Graph) -> Graph:
    """Every n-th row and column is a copy with a stride."""
    slices = [node for node in graph.nodes if isinstance(node, Slice)]
    lowered = {
        n.name: (identity(n.name, graph[n.inputs[0]], shape=n.shape, stride=n.stride),)
        for n in slices
    }
    return graph.rebuilt(lowered)


def fuse_clamps(graph: Graph) -> Graph:
    """A clamp joins the convolution that only it reads."""

    def step(graph, node):
        if not isinstance(node, Clamp):
            return None
        source = graph[node.inputs[0]]
        if not isinstance(source, Conv) or graph.uses(source.name) != 1:
            return None
        clamp = _both(source, node)
        return graph.rebuilt({source.name: (clamp,), node.name: ()}, {node.name: source.name})

    return _repeat(step)(graph)


def _both(conv, clamp):
    """The clamp applied to what the convolution's own clamp gives."""

    def within(bound):
        bound = bound if clamp.low is None else max(bound, clamp.low)
        return bound if clamp.high is None else min(bound, clamp.high)

    low = clamp.low if conv.low is None else within(conv.low)
    high = clamp.high if conv.high is None else within(conv.high)
    return replace(conv, low=low, high=high)


def fuse_adds(graph: Graph) -> Graph:
    """Each sum is taken by a convolution that only it reads, the other operand its skip.

    Of two such, one that computes goes before one that copies (whose result loses nothing by
    being stored), then the later one. Where there is none, a copy of the later operand.
    """

    def step(graph, node):
        if not isinstance(node, Add):
            return None
        place = {n.name: index for index, n in enumerate(graph.nodes)}
        free = [name for name in node.inputs if _takes_skip(graph, name)]
        if free:
            taker = max(free, key=lambda name: (not graph[name].copies, place[name]))
            skip = node.inputs[1 - node.inputs.index(taker)]
            conv, gone = graph[taker], {taker: ()}
        else:
            first, second = sorted(node.inputs, key=place.get)
            conv, skip, gone = identity(node.name, graph[second]), first, {}
        joined = replace(conv, inputs=(conv.inputs[0], skip))
        return graph.rebuilt(
            gone | {node.name: (joined,)}, {node.name: joined.name} if free else {}
        )

    return _repeat(step)(graph)


def _takes_skip(graph, name):
    node = graph[name]
    plain = isinstance(node, Conv) and not node.clamped and node.skip is None
    return plain and graph.uses(name) == 1


def lower_clamps(graph: Graph) -> Graph:
    """A clamp that no convolution took becomes a copy that clamps."""
    clamps = [node for node in graph.nodes if isinstance(node, Clamp)]
    lowered = {
        n.name: (identity(n.name, graph[n.inputs[0]], low=n.low, high=n.high),) for n in clamps
    }
    return graph.rebuilt(lowered)


def close_outputs(graph: Graph) -> Graph:
    """An input that the network returns as it is becomes a copy."""
    source = graph.nodes[0]
    if not graph.is_output(source.name):
        return graph
    copy = identity(f"{source.name}.output", source)
    closed = Graph((source, copy, *graph.nodes[1:]), graph.outputs)
    outputs = tuple(
        replace(o, name=copy.name) if o.name == source.name else o for o in graph.outputs
    )
    return Graph(closed.nodes, outputs)


def separate_input(graph: Graph) -> Graph:
    """The input, whose type is its own, is copied where it joins others in a concatenation."""
    own = {graph.nodes[0].name}  # tensors that hold values of the input only
    for node in graph.nodes:
        carries = isinstance(node, (MaxPool, Concat)) or (isinstance(node, Conv) and node.copies)
        if carries and all(name in own for name in node.inputs):
            own.add(node.name)
    copies, replaced = {}, {}
    for node in graph.nodes:
        if not isinstance(node, Concat) or node.name in own:
            continue
        new = [name for name in dict.fromkeys(node.inputs) if name in own and name not in copies]
        for name in new:
            copies[name] = identity(f"{name}.requantized", graph[name], requantize=True)
        inputs = tuple(copies[name].name if name in copies else name for name in node.inputs)
        replaced[node.name] = (*(copies[n] for n in new), replace(node, inputs=inputs))
    return graph.rebuilt(replaced)


PASSES = (
    fold_batchnorm,
    hoist_clamps,
    move_divisors,
    lower_pools,
    fold_flatten,
    lower_shortcuts,
    fold_pads,
    lower_slices,
    fuse_clamps,
    fuse_adds,
    fuse_clamps,
    lower_clamps,
    close_outputs,
    separate_input,
)


def fuse(graph: Graph) -> Graph:
    """All passes: what is left are ``Input``, ``Conv``, ``MaxPool`` and ``Concat``."""
    for apply in PASSES:
        graph = apply(graph)
    assert all(isinstance(node, Input | Conv | MaxPool | Concat) for node in graph.nodes)
    return graph
