"""Random small integer graphs, legal by ``check`` and safe from overflow, for property tests."""

from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from qnn.ir.bounds import bounds
from qnn.ir.check import check
from qnn.ir.codes import Codes
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Concat, Input, Interleave
from qnn.quant.qtype import QType
from tests.operators import changed, conv, max_pool, multiply

KINDS = (
    *("conv", "conv", "residual", "pool", "grouped", "identity"),
    *("maxpool", "concat", "interleave"),
)
PRODUCTS = ("multiply", "gate", "mask")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the drawn graphs keep to; the defaults suit every named configuration."""

    weight_bits: int = 4
    activation_bits: int = 8
    result_bits: int = 32
    channels: int = 11
    size: int = 9  # of the input's height and width
    nodes: int = 6
    terms: int = 4
    inputs: int = 1
    products: bool = True  # of two tensors, and sums with one value for each channel or pixel
    table_bits: int = 8  # of the widest index of a table; 0: no tables


DEFAULT = Limits()


@st.composite
def graphs(draw, limits: Limits = DEFAULT):
    """One graph; the arrays in it come from a drawn seed."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    nodes = [_input(draw, rng, limits, name) for name in ("x", "y")[: limits.inputs]]
    for number in range(draw(st.integers(1, limits.nodes))):
        kind = draw(st.sampled_from(KINDS + PRODUCTS * limits.products))
        nodes += _BUILDERS[kind](draw, rng, limits, nodes, f"{kind}{number}")
    if draw(st.booleans()):
        nodes += _unrounded(draw, rng, limits, nodes)
    results = [nodes[-1]]
    if draw(st.booleans()):
        results.append(draw(st.sampled_from(nodes[limits.inputs :])))
    graph = Graph(tuple(nodes), tuple(_output(draw, node) for node in dict.fromkeys(results)))
    check(graph)
    return graph


def images(graph: Graph, count: int, seed: int = 0) -> np.ndarray | tuple[np.ndarray, ...]:
    """Random codes of the input's type, its least and greatest included; a tuple of several."""
    rng = np.random.default_rng(seed)
    arrays = tuple(_images(rng, node, count) for node in graph.inputs)
    return arrays if len(arrays) > 1 else arrays[0]


def _images(rng, node, count):
    x = rng.integers(node.type.low, node.type.high + 1, (count, *node.shape))
    x[rng.random(x.shape) < 0.05] = node.type.low
    x[rng.random(x.shape) < 0.05] = node.type.high
    return Codes(x)


def check_same(one, other) -> None:
    """Fail unless two graphs, or parts of graphs, have the same types and values throughout."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, tuple):
        for left, right in zip(one, other, strict=True):
            check_same(left, right)
    elif is_dataclass(one):
        for field in fields(one):
            if field.init:
                check_same(getattr(one, field.name), getattr(other, field.name))
    else:
        assert one == other


def _type(draw, limits, nodes=()):
    known = [node.type for node in nodes]
    if known and draw(st.booleans()):
        return draw(st.sampled_from(known))
    bits = draw(st.integers(2, limits.activation_bits))
    type = QType(bits, draw(st.booleans()), draw(st.integers(-2, 9)))
    half = 1 << (bits - 1)
    lifted = type.signed and draw(st.booleans())
    return replace(type, zero_point=draw(st.integers(1 - half, half - 1))) if lifted else type


def _factors(nodes):
    """Tensors that hardware multiplies."""
    return [node for node in nodes if not node.type.zero_point]


def _input(draw, rng, limits, name):
    size = st.integers(1, limits.size)
    shape = (draw(st.integers(1, limits.channels)), draw(size), draw(size))
    type = _type(draw, limits)
    # So that there always is a factor.
    type = replace(type, zero_point=0) if limits.products else type
    table = None
    if draw(st.booleans()):
        table = rng.integers(type.low, type.high + 1, (shape[0], 256))
    return Input(name=name, shape=shape, type=type, table=table)


def _window(draw, source, *, turns=False):
    """Kernel, stride, dilation and padding that leave at least one pixel of ``source``.

    ``turns``: results may come from the right to the left.
    """
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    dilation = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    if turns and draw(st.integers(0, 3)) == 3:
        stride = (stride[0], -stride[1])
    padding = []
    for axis in range(2):
        reach = dilation[axis] * (kernel[axis] - 1)
        first = draw(st.integers(0, min(reach, 2)))
        least = max(0, reach + 1 - source[1 + axis] - first)
        padding += [first, draw(st.integers(least, least + 2))]
    return {"kernel": kernel, "dilation": dilation, "stride": stride, "padding": tuple(padding)}


def _codes(draw, rng, limits, shape):
    bits = draw(st.integers(2, limits.weight_bits))
    most = (1 << (bits - 1)) - 1
    terms = draw(st.integers(1, limits.terms))
    codes = rng.integers(-most, most + 1, (terms, *shape)).astype(np.int8)
    if draw(st.booleans()):
        # Channels of fewer terms, often sorted so that those of one instruction agree.
        first, stop = draw(st.integers(0, terms - 1)), rng.integers(1, terms + 1, shape[0])
        stop = np.sort(stop) if draw(st.booleans()) else stop
        number = np.arange(terms)[:, None]
        codes[(number < first) | (number >= stop)] = 0
    return bits, codes


def _finished(draw, rng, limits, nodes, conv):
    """``conv`` with shifts and a bias that put its results in range and its sums in bounds."""
    outputs = conv.shape[0]
    shapes = _seconds(conv.shape) if limits.products else (conv.shape,)
    same = [node.name for node in nodes if node.shape in shapes]
    if conv.skip is None and same and draw(st.booleans()):
        conv = changed(conv, skip=draw(st.sampled_from(same)))
    if conv.skip is not None:
        conv = changed(conv, skip_left=rng.integers(0, 6, outputs))
    most = draw(st.sampled_from((0, 1, 3)))
    conv = changed(conv, left=rng.integers(0, most + 1, outputs))
    graph = Graph((*nodes, conv), ())
    if bounds(graph)[conv.name].result_bits > limits.result_bits - 4:
        conv = changed(conv, left=np.zeros(outputs, np.int64))
        graph = Graph((*nodes, conv), ())
    low, high = bounds(graph)[conv.name].result
    spread = max(high, -low).bit_length()
    conv = changed(conv, bias=rng.integers(-(1 << spread) // 4, (1 << spread) // 4 + 1, outputs))
    return _rounded(draw, rng, limits, conv, spread) if conv.rounded else conv


def _rounded(draw, rng, limits, node, spread):
    """``node``, whose sums have ``spread`` bits, with right shifts, a clamp and often a table."""
    lane, channels = node.type, node.shape[0]
    indexed = bool(limits.table_bits) and not draw(st.integers(0, 2))
    if indexed:
        lane = QType(draw(st.integers(2, limits.table_bits)), True, 0)
    right = max(0, spread - lane.bits - draw(st.integers(0, 3)))
    low = draw(st.sampled_from((lane.low, 0)))
    high = draw(st.integers(-(-lane.high // 2), lane.high))
    shifts = rng.integers(max(0, right - 1), right + 2, channels)
    node = changed(node, right=shifts, low=low, high=high)
    if not indexed:
        return node
    size = (draw(st.sampled_from((1, channels))), high - low + 1)
    return changed(node, table=rng.integers(node.type.low, node.type.high + 1, size))


def _built(draw, rng, limits, nodes, *, name, source, codes, weight_bits, window, **fields):
    outputs = codes.shape[1]
    window = {key: value for key, value in window.items() if key != "kernel"}
    node = conv(
        name=name,
        input=source.name,
        shape=(outputs, 1, 1),
        type=fields.pop("type", None) or _type(draw, limits, nodes),
        codes=codes,
        weight_bits=weight_bits,
        **window,
        **fields,
    )
    node = replace(node, shape=node.output_shape((source,)))
    return [_finished(draw, rng, limits, nodes, node)]


def _conv(draw, rng, limits, nodes, name, **fields):
    source = draw(st.sampled_from(nodes))
    window = _window(draw, source.shape, turns=True)
    if draw(st.integers(0, 5)) == 5:  # a linear layer
        window = {"kernel": source.shape[1:]}
    shape = (draw(st.integers(1, limits.channels)), source.shape[0], *window["kernel"])
    bits, codes = _codes(draw, rng, limits, shape)
    return _built(
        draw,
        rng,
        limits,
        nodes,
        name=name,
        source=source,
        codes=codes,
        weight_bits=bits,
        window=window,
        **fields,
    )


def _residual(draw, rng, limits, nodes, name):
    """A convolution that has the shape of an earlier tensor, and adds it."""
    target = draw(st.sampled_from(nodes))
    return _alike(draw, rng, limits, nodes, name, target, target.shape[0], skip=target.name)


def _alike(draw, rng, limits, nodes, name, target, channels, **fields):
    """A convolution to ``channels`` of the height and width of ``target``."""
    source = draw(st.sampled_from([n for n in nodes if n.shape[1:] == target.shape[1:]]))
    padding = tuple(draw(st.integers(0, 2)) for _ in range(4))
    kernel = (padding[0] + padding[1] + 1, padding[2] + padding[3] + 1)
    bits, codes = _codes(draw, rng, limits, (channels, source.shape[0], *kernel))
    return _built(
        draw,
        rng,
        limits,
        nodes,
        name=name,
        source=source,
        codes=codes,
        weight_bits=bits,
        window={"padding": padding},
        **fields,
    )


def _grouped(draw, rng, limits, nodes, name):
    """Any groups: depthwise ones, with several outputs a channel, and some of many channels."""
    source = draw(st.sampled_from(nodes))
    channels = source.shape[0]
    groups = draw(st.sampled_from([n for n in range(1, channels + 1) if channels % n == 0]))
    outputs = groups * draw(st.integers(1, max(1, 2 * limits.channels // groups)))
    window = _window(draw, source.shape, turns=True)
    shape = (outputs, channels // groups, *window["kernel"])
    bits, codes = _codes(draw, rng, limits, shape)
    return _built(
        draw,
        rng,
        limits,
        nodes,
        name=name,
        source=source,
        codes=codes,
        weight_bits=bits,
        window=window,
        groups=groups,
    )


def _pool(draw, rng, limits, nodes, name):
    """Average pooling: equal codes of the greatest index, or terms that make 1/N."""
    source = draw(st.sampled_from(nodes))
    window = _window(draw, source.shape, turns=True)
    if draw(st.integers(0, 3)) == 3:  # global
        window = {"kernel": source.shape[1:]}
    bits = draw(st.integers(2, limits.weight_bits))
    most = (1 << (bits - 1)) - 1
    terms = [most] + [rng.integers(-most, most) for _ in range(draw(st.integers(0, 2)))]
    codes = np.empty((len(terms), source.shape[0], 1, *window["kernel"]), np.int8)
    codes[:] = np.array(terms).reshape(-1, 1, 1, 1, 1)
    return _built(
        draw,
        rng,
        limits,
        nodes,
        name=name,
        source=source,
        codes=codes,
        weight_bits=bits,
        window=window,
        groups=source.shape[0],
    )


def _identity(draw, rng, limits, nodes, name):
    """Requantize, pad or slice."""
    source = draw(st.sampled_from(nodes))
    stride = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    padding = tuple(draw(st.integers(0, 1)) for _ in range(4))
    bits = draw(st.integers(2, limits.weight_bits))
    codes = np.full((1, source.shape[0], 1, 1, 1), (1 << (bits - 1)) - 1, np.int8)
    return _built(
        draw,
        rng,
        limits,
        nodes,
        name=name,
        source=source,
        codes=codes,
        weight_bits=bits,
        window={"stride": stride, "padding": padding},
        groups=source.shape[0],
    )


def _max_pool(draw, rng, limits, nodes, name):
    source = draw(st.sampled_from(nodes))
    fields = {"name": name, "input": source.name, "type": source.type}
    pool = max_pool(shape=source.shape, **fields, **_window(draw, source.shape))
    return [replace(pool, shape=pool.output_shape((source,)))]


def _concat(draw, rng, limits, nodes, name):
    """A stack of a tensor, a new convolution of its type, and others that fit, in any order."""
    first = draw(st.sampled_from(nodes))
    channels = draw(st.integers(1, limits.channels))
    sibling = _alike(draw, rng, limits, nodes, f"{name}part", first, channels, type=first.type)
    fits = [n for n in nodes if n.type == first.type and n.shape[1:] == first.shape[1:]]
    others = draw(st.lists(st.sampled_from(fits), max_size=1))
    parts = draw(st.permutations([first, *sibling, *others]))
    shape = (sum(part.shape[0] for part in parts), *first.shape[1:])
    names = tuple(part.name for part in parts)
    return [*sibling, Concat(name=name, inputs=names, shape=shape, type=first.type)]


def _multiply(draw, rng, limits, nodes, name):
    """The product of a tensor with itself, with one of its shape, or with one that is spread."""
    factors = _factors(nodes)
    first = draw(st.sampled_from(factors))
    fits = [node for node in factors if node.shape in _seconds(first.shape)]
    return [_product(draw, rng, limits, nodes, name, first, draw(st.sampled_from(fits)))]


def _seconds(shape):
    """The shapes of what can be added to a tensor, or be its factor."""
    channels, *size = shape
    return [(count, *pixels) for count in (channels, 1) for pixels in (size, (1, 1))]


def _gate(draw, rng, limits, nodes, name):
    """A tensor times numbers for its channels that are computed from it, or from another."""
    first, source = draw(st.sampled_from(_factors(nodes))), draw(st.sampled_from(nodes))
    bits, codes = _codes(draw, rng, limits, (first.shape[0], *source.shape))
    window = {"kernel": source.shape[1:]}
    fields = {"source": source, "codes": codes, "weight_bits": bits, "window": window}
    fields |= {"type": replace(_type(draw, limits, nodes), zero_point=0)}
    (gate,) = _built(draw, rng, limits, nodes, name=f"{name}part", **fields)
    return [gate, _product(draw, rng, limits, [*nodes, gate], name, first, gate)]


def _mask(draw, rng, limits, nodes, name):
    """A tensor times, or a copy of it plus, a value for each pixel that all its channels share."""
    first = draw(st.sampled_from(_factors(nodes)))
    type = replace(_type(draw, limits, nodes), zero_point=0)
    (mask,) = made = _alike(draw, rng, limits, nodes, f"{name}part", first, 1, type=type)
    if draw(st.booleans()):
        pool = max_pool(
            name=f"{name}pool",
            input=mask.name,
            shape=mask.shape,
            type=type,
            kernel=(3, 3),
            padding=(1, 1, 1, 1),
        )
        made = [mask, pool]
    if draw(st.booleans()):
        return [*made, _product(draw, rng, limits, [*nodes, *made], name, first, made[-1])]
    codes = np.ones((1, first.shape[0], 1, 1, 1), np.int8)
    groups = draw(st.sampled_from((1, first.shape[0])))
    codes = np.tile(codes, (1, 1, first.shape[0] // groups, 1, 1))
    fields = {"codes": codes, "weight_bits": 2, "window": {}, "groups": groups}
    fields |= {"name": name, "source": first, "skip": made[-1].name}
    return [*made, *_built(draw, rng, limits, [*nodes, *made], **fields)]


def _product(draw, rng, limits, nodes, name, first, second):
    """A product with shifts and a bias that put its results in range and its sums in bounds."""
    type, channels = _type(draw, limits, nodes), first.shape[0]
    spread = min(first.type.bits + second.type.bits, limits.result_bits - 8)
    node = multiply(
        name=name,
        inputs=(first.name, second.name),
        shape=first.shape,
        type=type,
        left=rng.integers(0, draw(st.sampled_from((1, 3))), channels),
        bias=rng.integers(-(1 << spread) // 4, (1 << spread) // 4 + 1, channels),
    )
    return _rounded(draw, rng, limits, node, spread)


def _interleave(draw, rng, limits, nodes, name):
    """Phases of a grid that is cut anywhere; each is a tensor that fits, or a new convolution."""
    first = draw(st.sampled_from(nodes))
    channels, *size = first.shape
    down, right = _cuts(draw, size[0]), _cuts(draw, size[1])
    made, names, offsets = [], [], []
    for (top, height), (left, width) in product(down.phases, right.phases):
        shape, offset = (channels, height, width), (top, left)
        fits = [n for n in nodes if n.type == first.type and n.shape == shape]
        if fits and draw(st.booleans()):
            names.append(draw(st.sampled_from(fits)).name)
        else:
            kernel = (max(size[0] - height, 0) + 1, max(size[1] - width, 0) + 1)
            # One row or column more than the tensor has comes from padding.
            padding = (0, max(height - size[0], 0), 0, max(width - size[1], 0))
            groups = draw(st.sampled_from((1, channels)))
            bits, codes = _codes(draw, rng, limits, (channels, channels // groups, *kernel))
            part = f"{name}part{len(made)}"
            made += _built(
                draw,
                rng,
                limits,
                nodes,
                name=part,
                source=first,
                codes=codes,
                weight_bits=bits,
                window={"padding": padding},
                groups=groups,
                type=first.type,
            )
            names.append(part)
        offsets.append(offset)
    fields = {"shape": (channels, down.size, right.size), "type": first.type}
    fields |= {"step": (down.step, right.step), "offsets": tuple(offsets)}
    return [*made, Interleave(name=name, inputs=tuple(names), **fields)]


class _Cuts(NamedTuple):
    """An axis of an interleaving: its size, its step, and first pixel and count of each phase."""

    size: int
    step: int
    phases: list[tuple[int, int]]


def _cuts(draw, size):
    """Phases of about ``size`` pixels; of step 1, two parts one behind the other."""
    step = draw(st.integers(1, 3))
    if step > 1:
        whole = max(step * size + draw(st.integers(-1, 1)), step)
        return _Cuts(whole, step, [(n, len(range(n, whole, step))) for n in range(step)])
    behind = draw(st.integers(0, 2))
    return _Cuts(size + behind, 1, [(0, size), (size, behind)][: 1 + (behind > 0)])


def _unrounded(draw, rng, limits, nodes):
    type = QType(limits.result_bits, True, draw(st.integers(0, 20)))
    return _conv(draw, rng, limits, nodes, "last", type=type, rounded=False)


def _output(draw, node):
    channels, height, width = node.shape
    flat = (channels * height * width,)
    return Output(node.name, draw(st.sampled_from((node.shape, flat))))


_BUILDERS = {
    "conv": _conv,
    "residual": _residual,
    "pool": _pool,
    "grouped": _grouped,
    "identity": _identity,
    "maxpool": _max_pool,
    "concat": _concat,
    "multiply": _multiply,
    "gate": _gate,
    "mask": _mask,
    "interleave": _interleave,
}
