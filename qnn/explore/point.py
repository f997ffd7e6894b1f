"""A point of the space of designs: a network's numbers, and the hardware that computes it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING, Any

from hw.spec.config import SvpeConfig
from qnn.errors import ArgumentError
from qnn.fields import typed

if TYPE_CHECKING:
    from qnn.ir.graph import Graph

Terms = int | tuple[int, ...]  # of a layer, or of each of its rows
# Widths of sums follow from the network, and the bus is the port's.
ARRAY = (  # sizes of the array and of its buffers that a point may choose
    *("lanes", "rows", "columns", "epilogue_words", "neighbours"),
    *("feature_words", "weight_words", "parameter_words"),
)


@dataclass(frozen=True)
class ClockInterval:
    """The clock of a core in MHz: what one may count on, what is expected, and the most."""

    low: float
    expected: float
    high: float

    def __post_init__(self):
        # Of an infinite clock all designs would be equally fast, and no JSON could say how fast.
        if not 0 < self.low <= self.expected <= self.high < inf:
            raise ArgumentError(
                f"a clock interval needs 0 < low <= expected <= high, finite, not {self.low:g}, "
                f"{self.expected:g}, {self.high:g}"
            )


@dataclass(frozen=True, kw_only=True)
class Point:
    """A design on paper.

    Members
    -------
    terms : of each layer that learns: of all of its rows, or of each
    weight_bits, activation_bits : of a code, and of every activation
    array : sizes of a core by name, of ``ARRAY``; others are the reference core's
    cores : that share the memory
    clock : None: what the timing analysis estimates for the core
    """

    terms: Mapping[str, Terms] = field(default_factory=dict)
    weight_bits: int = 3
    activation_bits: int = 8
    array: Mapping[str, int] = field(default_factory=dict)
    cores: int = 1
    clock: ClockInterval | None = None

    def __post_init__(self):
        unknown = sorted(set(self.array) - set(ARRAY))
        if unknown:
            raise ArgumentError(
                f"a point's array needs sizes of {', '.join(ARRAY)}, not '{unknown[0]}'"
            )
        if self.cores < 1:
            raise ArgumentError(f"a point needs 1 core or more, not {self.cores}")

    @property
    def key(self) -> str:
        """A text that two points share only if they are the same design."""
        # Sorted: mappings that are equal may have other orders.
        return json.dumps(self.to_fields(), sort_keys=True)

    def config(self, graph: "Graph") -> SvpeConfig:
        """The core, as wide as ``graph`` needs.

        Raises
        ------
        CompileError
            There is no core of such sizes.
        """
        # Here, as command lines are read by points' names alone.
        from qnn.backend.array.configure import config_for

        return config_for("reference", graph, **self.array)

    @property
    def size(self) -> SvpeConfig:
        """The core without a network, whose sums are as wide as usual ones need.

        Raises
        ------
        ValueError
            There is no core of such sizes.
        """
        # Four is the least that an array can have.
        bits = max(4, self.activation_bits)
        return SvpeConfig(weight_bits=self.weight_bits, activation_bits=bits, **self.array)

    def with_terms(self, terms: Mapping[str, Terms]) -> "Point":
        """The same hardware for other terms."""
        return replace(self, terms=dict(terms))

    def to_fields(self) -> dict[str, Any]:
        """Plain values for JSON."""
        # Tuples become lists, as they are when they come from a file.
        return json.loads(json.dumps(asdict(self)))

    @staticmethod
    def from_fields(fields: Mapping[str, Any]) -> "Point":
        """The point of ``to_fields``.

        Raises
        ------
        FieldsError
            The values are no point's.
        """
        return typed(Point, fields)
