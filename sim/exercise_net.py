"""A graph whose layers are drawn one by one, so that every sum fits a configuration."""

from dataclasses import replace

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.isa import codes
from qnn.compiler.recode_weights import recoded
from qnn.ir.bounds import bounds
from qnn.ir.check import check
from qnn.ir.epilogue import Epilogue
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Concat, Conv, Input, Interleave, MaxPool, Multiply, Operator
from qnn.ir.ops.interleave import whole_size
from qnn.ir.window import Window
from qnn.quant.qtype import QType

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

    def input(
        self,
        name: str,
        shape: tuple[int, int, int],
        *,
        signed: bool,
        pixels: bool = False,
        zero_point: int = 0,
    ) -> Input:
        """An input of the widest type, of pixels with a random table if so said."""
        type = QType(self.config.activation_bits, signed, 4, zero_point)
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
        equal: bool = False,
    ) -> Conv:
        """A convolution of random codes, with as many of ``terms`` as its sums have room for.

        Its results go through ``tables``: none, one for all channels, or one for each. Where its
        codes are ``equal``, one word of weights does for all steps.
        """
        inputs = source.shape[0] // window.groups
        most = codes.most_index(self.weight_bits)
        while True:
            shape = (terms, outputs, inputs, *window.kernel)
            indices = self._rng.integers(-most, most + 1, shape)
            if equal:
                indices = np.full(shape, most)
            node = self._finished(name, source, indices, window, skip, signed, rounded, relu)
            if node is not None:
                return self._add(self._looked_up(node, tables) if tables else node)
            # Fewer terms reach less; one term of narrow codes always fits.
            terms, most = (terms - 1, most) if terms > 1 else (1, max(1, most // 2))

    def multiply(
        self, name: str, one: Operator, other: Operator, *, signed: bool = False
    ) -> Multiply:
        """A product, some of whose results reach the clamp."""
        channels, bits = one.shape[0], self.config.activation_bits
        type = QType(bits, signed, 4)
        epilogue = Epilogue(
            left=self._rng.integers(0, 2, channels),
            bias=self._rng.integers(-(1 << bits), 1 << bits, channels),
            right=self._rng.integers(bits - 2, bits + 1, channels),
            low=type.low + type.high // 7,
            high=type.high,
        )
        names = (one.name, other.name)
        return self._add(
            Multiply(name=name, inputs=names, shape=one.shape, type=type, epilogue=epilogue)
        )

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
