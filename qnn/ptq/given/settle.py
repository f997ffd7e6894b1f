"""Given quantizers as the epilogues of layers: a clamp, a table, or two layers that make one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.clamp import clamp_function
from qnn.frontend.ops.conv import identity
from qnn.frontend.ops.operator import FloatOperator, sum_of
from qnn.frontend.rewrite import Rewrite
from qnn.functions.elementwise import IDENTITY, applied_to
from qnn.functions.given import GivenQuantizer
from qnn.functions.table import INDEX_BITS
from qnn.ptq.calibrate import unrounded
from qnn.ptq.given.shifts import Shift, both_halves, shift_of, up_bias
from qnn.ptq.given.sums import LayerSums, sums_of
from qnn.ptq.given.tables import table_of
from qnn.quant.pow2 import exp2
from qnn.quant.qtype import QType

# Of a sum that no quantizer rounds, if that has all of its places: a mean of 16 numbers of 8 bits
# takes so many. Activations of more would make the array wide for one layer.
MOST_BITS = 12


@dataclass(frozen=True, eq=False)
class SettledNetwork:
    """A network without quantizers of its own, and what is known of it.

    Members
    -------
    types : of tensors and of tables' indices
    twice : layers that are computed twice, so that halves are rounded as the network rounds them
    inexact : why a layer's integers may differ, by its name
    """

    graph: FloatGraph
    types: dict[str, QType]
    twice: tuple[str, ...]
    inexact: dict[str, str]


def settle(
    graph: FloatGraph, types: Mapping[str, QType], ties: str, inputs: Mapping[str, str]
) -> SettledNetwork:
    """The network whose layers have the integers of their quantizers.

    Parameters
    ----------
    types : of every tensor
    ties : "even", halves as the network rounds them, or "up", which no layer is computed twice for
    inputs : why an input may have other integers, by its name
    """
    return _Settling(graph, dict(types), ties, dict(inputs), set(inputs)).run()


@dataclass(eq=False)
class _Settling:
    source: FloatGraph
    types: dict[str, QType]
    ties: str
    inexact: dict[str, str]
    unknown: set[str]  # tensors that the network has in reals, without a quantizer
    twice: list[str] = field(default_factory=list)
    whole: set[str] = field(default_factory=set)
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)

    def run(self):
        rewrite = Rewrite(self.source)
        self.whole = unrounded(self.source)
        for node in self.source.nodes:
            self._note_range(node)
            if node.weighs or node.multiplies:
                rewrite.exchange(node.name, *self._settled(node, rewrite))
            self._note_operands(node)
        return SettledNetwork(rewrite.graph(), self.types, tuple(self.twice), self.inexact)

    def _note_operands(self, node):
        """Say of what reads such a tensor that its results follow from it."""
        read = next((name for name in node.inputs if name in self.unknown), None)
        if read is not None and node.shares_type:
            self.unknown.add(node.name)
        elif read is not None:
            why = f"it reads '{read}', which the network does not quantize"
            self.inexact.setdefault(node.name, why)

    def _note_range(self, node):
        if node.shares_type and node.inputs:
            self.types[node.name] = self.types[node.inputs[0]]
        type, given = self.types[node.name], node.given
        if given is not None:
            self.ranges[node.name] = (given.low, given.high)
        elif node.shares_type and node.inputs:
            ends = [self.ranges[name] for name in node.inputs]
            self.ranges[node.name] = (min(e[0] for e in ends), max(e[1] for e in ends))
        else:
            self.ranges[node.name] = (type.low, type.high)

    def _settled(self, node, rewrite) -> list[FloatOperator]:
        # Copies round nothing, and have their operand's type.
        if node.shares_type:
            return [node]
        sums = sums_of(node, self.types, self.ranges)
        if node.given is None:
            return [self._without(node, sums)]
        given, before = _within(node), node.function or IDENTITY
        if given.rounding == "SIGN" and node.function is None:
            before = clamp_function(node.low, node.high)
        # What costs nothing first: a shift, then a table, then the layer once more.
        if given.rounding != "SIGN" and node.function is None and sums.is_plain:
            shift = shift_of(sums, given)
            if shift is not None and _adds(node, shift.bias):
                return [self._shifted(node, sums, shift, node.name, given)]
        table = table_of(sums, before, given, biased=node.weighs)
        if table is not None and _adds(node, table.bias):
            return [self._tabled(node, sums, table)]
        return self._approximate(node, sums, given, rewrite)

    def _without(self, node, sums):
        """A layer that the network gives no quantizer, or whose sums are an output."""
        whole = node.name in self.whole
        # Of sums that nothing rounds, the bias alone may lie between two steps.
        between = bool((sums.bias * exp2(sums.unit) % 1 != 0).any())
        if not sums.is_plain:
            self.inexact[node.name] = "BatchNorm's or a mean's factors are no powers of two"
        elif whole and between:
            self.inexact[node.name] = "its bias lies between two steps of its sums"
        elif not whole and (between or not self._widened(node, sums)):
            self.inexact[node.name] = "it has no quantizer, and is rounded here"
        if node.name in self.inexact and not whole:
            self.unknown.add(node.name)
        if sums.weight is None or not sums.is_plain:
            return node
        return _plain(node, sums, sums.bias)

    def _widened(self, node, sums) -> bool:
        """Whether a sum that no quantizer rounds has a type with all of its bits."""
        # What is joined has the type of others, and a clamp or a function other bounds.
        joined = any(len(n.inputs) > 1 and n.shares_type for n in self.source.users(node.name))
        if joined or node.activated or not node.weighs:
            return False
        unit = int(sums.unit.max())
        scale = exp2(unit - sums.unit)
        low = int(((sums.least + sums.bias * exp2(sums.unit)) * scale).min())
        high = int(((sums.most + sums.bias * exp2(sums.unit)) * scale).max())
        bits = max((-low - 1).bit_length(), high.bit_length()) + (low < 0)
        if bits > MOST_BITS:
            return False
        self.types[node.name] = QType(max(bits, 2), low < 0, unit)
        self.ranges[node.name] = (low, high)
        return True

    def _approximate(self, node, sums, given, rewrite):
        """Two layers in place of one, or one that rounds halves up."""
        plain = given.rounding != "SIGN" and node.function is None and sums.is_plain
        halves = both_halves(sums, given) if plain and sums.weight is not None else None
        usable = halves is not None and all(_adds(node, each.bias) for each in halves)
        # The sum of both results has a bit more.
        fits = given.bits + 2 <= INDEX_BITS
        if usable and fits and self.ties == "even":
            return self._both(node, sums, halves, given, rewrite)
        self.inexact[node.name] = _reason(node, sums, given, self.ties)
        kept = replace(node, given=None)
        if node.function is not None:
            return [kept]
        bounds = {"low": given.low * given.scale, "high": given.high * given.scale}
        if plain and sums.weight is not None:
            shift = Shift(up_bias(sums, given.exponent), given.low, given.high)
            return [self._shifted(node, sums, shift, node.name, given)]
        # What cuts off is our rounding of half a step less, or of nearly half a step more.
        half = {"FLOOR": -0.5, "CEIL": 0.5 - 2.0**-10}.get(given.rounding, 0.0) * given.scale
        return [replace(_moved(kept, half), **bounds)]

    def _shifted(self, node, sums, shift, name, given):
        bounds = {"low": shift.low * given.scale, "high": shift.high * given.scale}
        bare = replace(node, name=name, given=None, **bounds)
        return bare if sums.weight is None else _plain(bare, sums, shift.bias)

    def _tabled(self, node, sums, table):
        bare = replace(node, given=None, low=None, high=None, function=table.function)
        self.types[sum_of(node.name)] = table.index
        return bare if sums.weight is None else _plain(bare, sums, table.bias)

    def _both(self, node, sums, halves, given, rewrite):
        names = tuple(rewrite.fresh(f"{node.name}.{way}") for way in ("up", "down"))
        parts = [
            self._shifted(node, sums, half, name, given)
            for half, name in zip(halves, names, strict=True)
        ]
        self.types |= dict.fromkeys(names, self.types[node.name])
        copy = replace(identity(node.name, parts[0]), inputs=names)
        self.twice.append(node.name)
        if given.rounding == "ZERO":
            return [*parts, copy]
        # Of one half up and one down the sum is odd, and half of it a half again.
        half_of_sum = applied_to("mul.Tensor", [IDENTITY, 0.5])
        index = QType(given.bits + 2, True, given.exponent)
        self.types[sum_of(node.name)] = index
        return [*parts, replace(copy, function=given.function.of(half_of_sum))]


def _within(node) -> GivenQuantizer:
    """The quantizer of a layer with the bounds of a clamp before it."""
    given = node.given
    ends = [end for end in (node.low, node.high) if end is not None]
    if not ends or given.rounding == "SIGN":
        return given
    # A greater number never becomes a smaller one, so that bounds become bounds.
    steps = [
        round(float(given(torch.tensor(end, dtype=torch.float64))) / given.scale) + given.zero_point
        for end in ends
    ]
    least = given.least if node.low is None else max(given.least, steps[0])
    most = given.most if node.high is None else min(given.most, steps[-1])
    return replace(given, least=least, most=most)


def _plain(node, sums: LayerSums, bias):
    """The layer with what is multiplied behind its sums taken into its weights."""
    bias = None if bias is None or not bool(bias.any()) else bias.float()
    weight = sums.weight.to(node.weight.dtype)
    return replace(node, weight=weight, scale=1.0, batchnorm=None, bias=bias)


def _moved(node, by):
    """The layer with ``by`` added to its sums."""
    if not by or not node.weighs:
        return node
    if node.batchnorm is not None:
        return replace(node, batchnorm=replace(node.batchnorm, beta=node.batchnorm.beta + by))
    bias = torch.zeros(len(node.weight)) if node.bias is None else node.bias
    return replace(node, bias=bias + by)


def _adds(node, bias) -> bool:
    """Whether the layer can hold that bias exactly."""
    if not node.weighs:
        return not bool(bias.any())
    return bool((bias.float().double() == bias).all())


def _reason(node, sums, given, ties) -> str:
    if not sums.is_plain:
        return "BatchNorm's or a mean's factors are no powers of two, and its sums fill no table"
    if node.function is not None:
        return "its sums have too many bits for a table that tells each apart"
    if given.rounding == "SIGN":
        return "its sums have too many bits for a table of their signs"
    if ties == "up" or given.rounding not in ("EVEN", "DPU", "ZERO"):
        return f"halves go up here, and the network rounds them {_SAID[given.rounding]}"
    return f"a sum just between two steps is rounded {_SAID[given.rounding]} by the network"


_SAID = {
    "EVEN": "to even numbers",
    "DPU": "to even numbers, or up where negative",
    "ZERO": "towards 0",
    "UP": "up",
    "FLOOR": "down",
    "CEIL": "up",
    "SIGN": "by their sign",
}
