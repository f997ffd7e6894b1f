"""The discrete space of a search: groups of layers by terms, and hardware that can be built.

A design is a vector of positions, one for each dimension: of each group in its terms, then of the
bits, sizes and cores in theirs. Hardware is a list of what exists, fits the device and keeps the
bounds of cells, so that every vector of the space is a design and no method has to guess.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log2, prod
from random import Random

from hw.spec.resources import total
from qnn.errors import ArgumentError
from qnn.explore.choices import ACTIVATIONS, CORES, TERMS, WEIGHTS
from qnn.explore.evaluation import Figure
from qnn.explore.goals import METRICS, Constraint
from qnn.explore.hardware import cells
from qnn.explore.point import ARRAY, ClockInterval, Point

Vector = tuple[int, ...]
MOST_HARDWARE = 200_000  # combinations that are looked at: some ten seconds
HARDWARE = (WEIGHTS, ACTIVATIONS, *ARRAY, CORES)


@dataclass(frozen=True, eq=False)
class Space:
    """All designs that a search may choose from.

    Members
    -------
    groups : layers that have equal terms
    values : of each name of ``choices.NAMES``, in rising order
    found : positions of hardware that exists, to its cells
    clock : of all of it; None: as the timing analysis estimates it
    """

    groups: tuple[tuple[str, ...], ...]
    values: Mapping[str, tuple[int, ...]]
    found: Mapping[Vector, Mapping[str, Figure]]
    clock: ClockInterval | None = None

    @cached_property
    def hardware(self) -> tuple[Vector, ...]:
        """The positions of all hardware, in order."""
        return tuple(sorted(self.found))

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """How many values each dimension has."""
        groups = (len(self.values[TERMS]),) * len(self.groups)
        return (*groups, *(len(self.values[name]) for name in HARDWARE))

    @property
    def dimensions(self) -> int:
        """Those with more than one value."""
        return sum(length > 1 for length in self.lengths)

    @property
    def size(self) -> int:
        """How many designs there are."""
        return len(self.values[TERMS]) ** len(self.groups) * len(self.hardware)

    def split(self, vector: Vector) -> tuple[Vector, Vector]:
        """The positions of terms, and of hardware."""
        return vector[: len(self.groups)], vector[len(self.groups) :]

    def point(self, vector: Vector) -> Point:
        """The design of a vector."""
        terms, hardware = self.split(vector)
        chosen = self._named(hardware)
        return Point(
            terms={
                layer: self.values[TERMS][position]
                for group, position in zip(self.groups, terms, strict=True)
                for layer in group
            },
            weight_bits=chosen[WEIGHTS],
            activation_bits=chosen[ACTIVATIONS],
            array={name: chosen[name] for name in ARRAY},
            cores=chosen[CORES],
            clock=self.clock,
        )

    def vector(self, point: Point) -> Vector | None:
        """The vector of a design; None where it is not of this space."""
        chosen = {
            WEIGHTS: point.weight_bits,
            ACTIVATIONS: point.activation_bits,
            CORES: point.cores,
            **point.array,
        }
        try:
            terms = tuple(
                self.values[TERMS].index(_same(point.terms[layer] for layer in group))
                for group in self.groups
            )
            hardware = tuple(self.values[name].index(chosen[name]) for name in HARDWARE)
        # A value that no dimension has, a layer without terms, or terms that differ in a group.
        except (KeyError, ValueError):
            return None
        same = self.clock == point.clock and hardware in self.found
        # Hardware that has no room here is none of this space, though all its values are.
        return (*terms, *hardware) if same else None

    def cells(self, vector: Vector) -> Mapping[str, Figure]:
        """LUTs, flip-flops and block RAMs."""
        return self.found[self.split(vector)[1]]

    def lanes(self, vector: Vector) -> int:
        """Products that all cores compute in a cycle."""
        chosen = self._named(self.split(vector)[1])
        return prod(chosen[name] for name in ("lanes", "rows", "columns", CORES))

    def _named(self, hardware: Vector) -> dict[str, int]:
        pairs = zip(HARDWARE, hardware, strict=True)
        return {name: self.values[name][position] for name, position in pairs}

    def sample(self, random: Random) -> Vector:
        """Any design, all alike."""
        # Hardware from the list, so that all that exists is as likely.
        terms = (random.randrange(len(self.values[TERMS])) for _ in self.groups)
        return (*terms, *random.choice(self.hardware))

    def neighbours(self, vector: Vector) -> Iterator[Vector]:
        """Designs of which one dimension is a value further; hardware at the nearest that is."""
        for place, length in enumerate(self.lengths):
            for position in (vector[place] - 1, vector[place] + 1):
                if 0 <= position < length:
                    moved = (*vector[:place], position, *vector[place + 1 :])
                    if place < len(self.groups) or moved[len(self.groups) :] in self.found:
                        yield moved

    def repaired(self, vector: Sequence[int]) -> Vector:
        """The vector with the hardware that is nearest to its own."""
        terms, hardware = self.split(tuple(int(each) for each in vector))
        if hardware in self.found:
            return (*terms, *hardware)

        def distance(other: Vector) -> int:
            return sum(abs(a - b) for a, b in zip(hardware, other, strict=True))

        return (*terms, *min(self.hardware, key=distance))

    def encode(self, vector: Vector) -> list[float]:
        """Numbers from 0 to 1 of the dimensions with more than one value; sizes by their log."""
        names = [*[TERMS] * len(self.groups), *HARDWARE]
        encoded = []
        for name, position in zip(names, vector, strict=True):
            # Twice the lanes are as far from once as four times are from twice.
            scale = [log2(max(value, 1)) if name in ARRAY else value for value in self.values[name]]
            if len(scale) > 1:
                encoded.append((scale[position] - scale[0]) / ((scale[-1] - scale[0]) or 1))
        return encoded


def make_space(
    groups: tuple[tuple[str, ...], ...],
    values: Mapping[str, tuple[int, ...]],
    constraints: Sequence[Constraint],
    clock: ClockInterval | None = None,
) -> Space:
    """The space of what can be built and keeps those constraints that cells alone decide.

    Raises
    ------
    ArgumentError
        No hardware does; the text says what the nearest would take.
    """
    count = prod(len(values[name]) for name in HARDWARE)
    if count > MOST_HARDWARE:
        raise ArgumentError(
            f"the space has {count:,} combinations of hardware, but {MOST_HARDWARE:,} at most are "
            f"looked at; give fewer values with --vary"
        )
    every = dict(_every(values))
    if not every:
        raise ArgumentError(
            "the space is empty: no array has such sizes (rows divide lanes, epilogue words are "
            "no more than columns); change --vary"
        )
    exact = [each for each in constraints if METRICS[each.metric].exact]
    kept = {
        positions: figures
        for positions, figures in every.items()
        if all(each.kept(figures[each.metric].value) for each in exact)
    }
    if not kept:
        raise ArgumentError(_impossible(exact, every))
    return Space(groups, values, kept, clock)


def _impossible(exact, every) -> str:
    """Which bounds no hardware keeps, with what there is."""
    for each in exact:
        values = [figures[each.metric].value for figures in every.values()]
        if not any(map(each.kept, values)):
            return (
                f"constraint {each} is impossible: designs of this space take {min(values):,.0f} "
                f"to {max(values):,.0f} {each.metric}; change it, or --vary"
            )
    bounds = " and ".join(map(str, exact))
    return f"constraints {bounds} are impossible together in this space; change one, or --vary"


def _every(values) -> Iterator[tuple[Vector, Mapping[str, Figure]]]:
    """All hardware that exists, with its cells."""
    core = HARDWARE[:-1]
    for positions in itertools.product(*(range(len(values[name])) for name in core)):
        pairs = zip(core, positions, strict=True)
        chosen = {name: values[name][position] for name, position in pairs}
        point = Point(
            weight_bits=chosen[WEIGHTS],
            activation_bits=chosen[ACTIVATIONS],
            array={name: chosen[name] for name in ARRAY},
        )
        # Rows must divide lanes, and more: the configuration alone knows its rules.
        try:
            taken = total(point.size)
        except ValueError:
            continue
        for position, cores in enumerate(values[CORES]):
            yield (*positions, position), cells(taken.times(cores))


def _same(terms) -> int:
    """The one number of terms that all have.

    Raises
    ------
    ValueError
        They differ, or rows have terms of their own.
    """
    found = set(terms)
    if len(found) != 1 or not isinstance(value := found.pop(), int):
        raise ValueError("terms differ")
    return value
