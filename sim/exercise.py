"""Networks that make an accelerator do all that its instructions can say, by configuration."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.isa import codes
from qnn.compiler import compile_graph
from qnn.compiler.recode_weights import recoded
from qnn.errors import CompileError
from qnn.ir.bounds import bounds
from qnn.ir.check import check
from qnn.ir.epilogue import Epilogue
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Concat, Conv, Input, Interleave, MaxPool, Operator
from qnn.ir.ops.interleave import whole_size
from qnn.ir.window import Window
from qnn.quant.qtype import QType

# A map larger than this takes an RTL simulation minutes.
MOST_STRIP_WORDS = 1 << 15
SPARE_BITS = 2  # of the epilogue's sums, for bias and skip operand
WEIGHT_BITS = 3  # of a multiplier's graph, whose codes it takes as integers


class Exercise:
    """A graph under construction, in which every sum fits ``config``.

    Parameters
    ----------
    seed : of all codes, shifts and biases
    """

    def __init__(self, config: SvpeConfig, seed: int):
        self.config, self.nodes = config, []
        self._rng = np.random.default_rng(seed)
        self.weight_bits = config.weight_bits if config.pe == "shift" else WEIGHT_BITS

    def input(self, name: str, shape: tuple[int, int, int], *, signed: bool, pixels=False) -> Input:
        """An input of the widest type, of pixels with a random table if so said."""
        type = QType(self.config.activation_bits, signed, 4)
        table = None
        if pixels:
            table = self._rng.integers(type.low, type.high + 1, (shape[0], 256))
        return self._add(Input(name=name, shape=shape, type=type, table=table))

    def conv(
        self,
        name: str,
        source: Operator,
        outputs: int,
        window: Window,
        *,
        terms: int = 1,
        skip: Operator | None = None,
        signed: bool = False,
        rounded: bool = True,
        relu: bool = False,
        tables: int = 0,
    ) -> Conv:
        """A convolution of random codes, with as many of ``terms`` as its sums have room for.

        Its results go through ``tables``: none, one for all channels, or one for each.
        """
        inputs = source.shape[0] // window.groups
        most = codes.most_index(self.weight_bits)
        while True:
            indices = self._rng.integers(-most, most + 1, (terms, outputs, inputs, *window.kernel))
            node = self._finished(name, source, indices, window, skip, signed, rounded, relu)
            if node is not None:
                return self._add(self._looked_up(node, tables) if tables else node)
            # Fewer terms reach less; one term of narrow codes always fits.
            terms, most = (terms - 1, most) if terms > 1 else (1, max(1, most // 2))

    def pool(self, name: str, source: Operator, window: Window) -> MaxPool:
        """Maximum pooling."""
        shape = (source.shape[0], *window.output_size(source.shape[1:]))
        return self._add(
            MaxPool(name=name, inputs=(source.name,), shape=shape, type=source.type, window=window)
        )

    def concat(self, name: str, *sources: Operator) -> Concat:
        """The channels of all ``sources``."""
        channels = sum(source.shape[0] for source in sources)
        shape = (channels, *sources[0].shape[1:])
        names = tuple(source.name for source in sources)
        return self._add(Concat(name=name, inputs=names, shape=shape, type=sources[0].type))

    def interleave(self, name: str, step: tuple[int, int], *sources: Operator) -> Interleave:
        """The pixels of ``sources``, one for each place of a step, in its order row by row."""
        offsets = tuple(np.ndindex(step))
        sizes = [source.shape[1:] for source in sources]
        shape = (sources[0].shape[0], *whole_size(step, offsets, sizes))
        return self._add(
            Interleave(
                name=name,
                inputs=tuple(source.name for source in sources),
                shape=shape,
                type=sources[0].type,
                step=step,
                offsets=offsets,
            )
        )

    def graph(self, *outputs: Operator) -> Graph:
        """The graph of all nodes."""
        graph = Graph(tuple(self.nodes), tuple(Output(o.name, o.shape) for o in outputs))
        check(graph)
        return graph

    def _add(self, node):
        self.nodes.append(node)
        return node

    def _finished(self, name, source, indices, window, skip, signed, rounded, relu):
        """The node with shifts that bring its results into range; None if a sum has no room."""
        config, outputs = self.config, indices.shape[1]
        zeros = np.zeros(outputs, np.int64)
        type = QType(config.activation_bits, signed, 4)
        if not rounded:
            type = QType(config.result_bits, True, 9)
        numbers = {
            "left": self._rng.integers(0, 2, outputs) if rounded else zeros,
            "bias": zeros,
            "right": zeros,
            "skip_left": None if skip is None else self._rng.integers(0, 3, outputs),
            "rounded": rounded,
            "low": 0 if relu and rounded else type.low if rounded else 0,
            "high": type.high - type.high // 5 if rounded else 0,
        }
        given = {
            "name": name,
            "inputs": (source.name,) if skip is None else (source.name, skip.name),
            "shape": (outputs, *window.output_size(source.shape[1:])),
            "type": type,
            "codes": indices.astype(np.int8),
            "weight_bits": self.weight_bits,
            "window": window,
        }
        bound = self._bound(Conv(**given, epilogue=Epilogue(**numbers)))
        if bound is None:
            return None
        reach = max(bound.result[1], -bound.result[0]).bit_length()
        spread = 1 << max(1, reach - 2)
        numbers["bias"] = self._rng.integers(-spread // 4, spread // 4 + 1, outputs)
        if rounded:
            # Random weights stay well within the bound: some results reach the clamp, most do not.
            right = max(0, reach - config.activation_bits - 2)
            numbers["right"] = self._rng.integers(max(0, right - 1), right + 2, outputs)
        return Conv(**given, epilogue=Epilogue(**numbers))

    def _looked_up(self, node, tables):
        """The node with random tables, where the configuration has any."""
        config, most = self.config, 1 << self.config.table_bits - 1
        if not config.tables:
            return node
        low, high = -most, most - 1 - most // 5
        entries = (tables, high - low + 1)
        table = self._rng.integers(node.type.low, node.type.high + 1, entries)
        places = node.epilogue.right + (config.activation_bits - config.table_bits)
        numbers = {"right": np.maximum(places, 0), "low": low, "high": high, "table": table}
        return replace(node, epilogue=replace(node.epilogue, **numbers))

    def _bound(self, node):
        """The bounds of a node on the array; None if they leave no room."""
        graph = Graph((*self.nodes, node), ())
        found = bounds(recoded(graph, self.config))[node.name]
        if found.accumulator_bits > self.config.accumulator_bits:
            return None
        return None if found.result_bits > self.config.result_bits - SPARE_BITS else found


def exercises(config: SvpeConfig, seed: int) -> Iterator[tuple[str, Graph, int]]:
    """Name, graph and batch of each network; the same for the same seed.

    One lies on chip and has a layer of each kind; another is larger than the feature buffer, so
    that it goes through memory in strips; the last has loops of many turns. What an unusual
    configuration has no room for is left out.
    """
    made = (("of every kind", _kinds, 2), ("in strips", _strips, 1), ("of long loops", _loops, 1))
    for name, make, batch in made:
        graph = make(config, seed)
        if graph is not None and _compiles(graph, config, batch):
            yield name, graph, batch


def _compiles(graph, config, batch):
    try:
        compile_graph(graph, config, batch)
    # Buffers of a few words hold no layer of these sizes.
    except CompileError:
        return False
    return True


def _kinds(config, seed):
    """Layers of every kind, on small maps of odd sizes."""
    net, lanes, rows = Exercise(config, seed), config.lanes, config.rows
    # One column more than a row of tiles, so that the last one is cut.
    height, width = 5, max(3, min(config.columns, 8) + 1)
    x = net.input("x", (3, 2 * height, 2 * width), signed=False, pixels=True)
    y = net.input("y", (lanes, height, width), signed=True)
    halving = Window(kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1))
    same = Window(kernel=(3, 3), padding=(1, 1, 1, 1))
    point = Window(kernel=(1, 1))
    first = net.conv("first", x, lanes + rows, halving, relu=True)
    # More channels than a word has, in several terms, and a skip operand.
    terms = net.conv("terms", first, lanes, same, terms=3, skip=y, signed=True)
    skip = net.conv("skip", terms, lanes, point, skip=terms, terms=2)
    depthwise = net.conv(
        "depthwise",
        skip,
        lanes,
        Window(kernel=(3, 2), padding=(2, 2, 1, 0), dilation=(2, 1), groups=lanes),
        signed=True,
    )
    groups = Window(kernel=(2, 3), padding=(0, 1, 2, 2), dilation=(1, 2), groups=2)
    grouped = net.conv("grouped", depthwise, lanes, groups, relu=True)
    unsigned = net.pool("unsigned", skip, Window(kernel=(3, 3), padding=(1, 1, 1, 1)))
    both = net.concat("both", grouped, unsigned)
    wide = net.conv("wide", both, lanes + 1, Window(kernel=(1, 3), stride=(1, 3)), signed=True)
    small = net.pool("signed", wide, Window(kernel=(3, 2), stride=(2, 1), padding=(1, 0, 1, 0)))
    size = small.shape[1:]
    sums = net.conv("sums", small, rows + 1, Window(kernel=size), rounded=False)
    # Pooling and a residual add into every other column.
    # One with a table before one without.
    function = net.conv("function", skip, lanes, point, skip=terms, terms=2, tables=1)
    slopes = net.conv("slopes", function, lanes, point, signed=True, tables=lanes)
    plain = net.conv("plain", slopes, rows, point)
    odd = net.pool("odd", skip, same)
    even = net.conv("even", skip, lanes, point, skip=terms)
    woven = net.interleave("woven", (1, 2), even, odd)
    halved = net.conv("halved", woven, 1, halving)
    return net.graph(sums, wide, halved, plain)


def _strips(config, seed):
    """A map that the feature buffer does not hold, and enough layers that one goes to memory."""
    if config.feature_words > MOST_STRIP_WORDS:
        return None
    net, lanes = Exercise(config, seed), config.lanes
    width = min(2 * config.columns + 1, max(3, config.feature_words // 32))
    height = config.feature_words // width + 2
    x = net.input("x", (lanes, height, width), signed=False)
    same = Window(kernel=(3, 3), padding=(1, 1, 1, 1))
    point = Window(kernel=(1, 1))
    one = net.conv("one", x, lanes, same, skip=x)
    two = net.conv("two", one, lanes, point, terms=2, signed=True)
    pooled = net.pool("pooled", two, Window(kernel=(3, 3), stride=(1, 1), padding=(1, 1, 1, 1)))
    three = net.conv("three", pooled, lanes, point, skip=one, relu=True)
    # An operand of a concatenation has gaps in memory, and is loaded row by row.
    both = net.concat("both", one, three)
    last = net.conv("last", both, 1, Window(kernel=(2, 2), stride=(2, 2)))
    return net.graph(last)


def _loops(config, seed):
    """Loops one turn longer than powers of two, where a count that lacks a bit ends too early."""
    net, lanes = Exercise(config, seed), config.lanes
    wide = net.input("wide", (lanes, 17, 33 * config.columns), signed=True)
    tall = net.input("tall", (lanes, 33, config.columns), signed=False)
    deep = net.input("deep", (17 * lanes, 3, 3), signed=False)
    point = Window(kernel=(1, 1))
    # Tiles, and then a map so small that kernels of many taps take few cycles.
    across = net.conv("across", wide, lanes, point)
    down = net.conv("down", tall, 1, point, signed=True)
    small = net.pool("small", across, Window(kernel=(3, 3), stride=(4, 4 * config.columns)))
    # Rows of 63 pixels in the configuration `test`: every bit of the width is a one.
    found = [down, net.conv("ones", across, 1, Window(kernel=(3, 4)))]
    for size in ((17, 3), (9, 5), (5, 9), (3, 17)):
        high, width = (taps // 2 for taps in size)
        window = Window(kernel=size, padding=(high, high, width, width))
        found.append(net.conv(f"kernel{size[0]}", small, lanes, window, signed=high > width))
    found.append(net.pool("most", small, Window(kernel=(3, 5), padding=(1, 1, 2, 2))))
    # Blocks of channels: as many as the layer before has words of.
    for words in (9, 5, 3):
        deep = net.conv(f"blocks{words}", deep, words * lanes, point, relu=True)
    return net.graph(*found, net.conv("blocks", deep, 1, point, signed=True))
