"""Whether the cells of a netlist fit into slices of UltraScale+ as they are drawn.

A slice has eight places. A place has a LUT with two outputs, one bit of a CARRY8, an output of
multiplexers MUXF7 to MUXF9, two registers, a bypass input, an output of O6 and one of all else.
What asks a place for more still works: the vendor's tool then adds LUTs that no count has seen.
Carry cells that synthesis infers by itself (CARRY4) are the tool's to draw, and are left out.

Sources are UG574 (v1.6: "Carry Logic", "Look-Up Table", "Storage Elements"), UG912 (HLUTNM) and,
for what a slice's pins and multiplexers are, public descriptions of the site: f4pga/prjuray
``spec/slice.v``, Xilinx/RapidWright ``timing/ultrascaleplus/intrasite_delay_terms.txt``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

RULES = {
    "pair": "two functions of a LUT have five inputs in all, and a group HLUTNM two functions",
    "pins": "a cell of two functions has no pin that one of them ignores: a timer sees paths there",
    "select": "S, and what a MUXF7 chooses from, is O6 of a LUT that has no other such use",
    "carry": "CI_TOP of a single chain is 0, and CO[7] goes to one CI, that of the slice above",
    "bypass": "a place's bypass input brings one net: CI to the lowest (AX), a DI that is not O5 "
    "of the place's LUT, a multiplexer's choice",
    "muxes": "a MUXF8 chooses from two MUXF7, a MUXF9 from two MUXF8, none of which has another",
    "leave": "of O5, O, CO and a multiplexer one leaves the place; the rest ends in its registers",
    "registers": "a place has two registers",
    "control": "registers of four places share clock and reset; the first ones of all four share "
    "an enable, and so do the second ones",
}
PLACES = 8
HALF = 4  # places that share the control signals of their registers
PAIR_INPUTS = 5
LUTS = ("LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6", "LUT6_2", "INV")
REGISTERS = {"FDRE": "R", "FDSE": "S", "FDCE": "CLR", "FDPE": "PRE"}  # with the pin that sets it
ASYNCHRONOUS = ("FDCE", "FDPE")
# Of each multiplexer: its inputs' kind, places of the two inputs' first LUTs behind its own first
# one, and the places of its bypass input and of its output (prjuray's spec/slice.v).
MULTIPLEXERS = {
    "MUXF7": ("LUT", (1, 0), 0, 1),
    "MUXF8": ("MUXF7", (2, 0), 1, 2),
    "MUXF9": ("MUXF8", (4, 0), 3, 4),
}

Bit = int | str  # of a netlist; "0", "1" and "x" are constants


@dataclass(frozen=True)
class Misfit:
    """A cell that asks a slice for what it lacks."""

    rule: str
    module: str
    cell: str
    why: str

    def __str__(self) -> str:
        return f"{self.module}, {self.cell}: {self.why} ({self.rule}: {RULES[self.rule]})"


@dataclass
class Lut:
    """A LUT with the outputs of one cell or of a pair, and how many nets all of them need."""

    name: str
    outputs: list[Bit]
    inputs: int
    o6: Bit | None = None  # the output that a chain or a multiplexer takes, if one does

    @property
    def o5(self) -> Bit | None:
        """The other output."""
        return next((bit for bit in self.outputs if bit != self.o6), None)

    @property
    def has_constant_o5(self) -> bool:
        """Whether O5 can be a constant."""
        return self.o5 is None and self.inputs <= PAIR_INPUTS


@dataclass
class SlicePlace:
    """What a place of a slice has: its LUT, nets by the bypass, nets that come out of it."""

    lut: Lut | None = None
    bypass: set[Bit] = field(default_factory=set)
    outputs: dict[Bit, set] = field(default_factory=dict)  # with the sinks that need no output


def share_controls(places: Sequence[Sequence[Mapping]]) -> bool:
    """Whether registers of the places of half a slice can have its control signals."""
    cells = [cell for place in places for cell in place]
    if len({_common(cell) for cell in cells}) > 1:
        return False
    enables = {_enable(cell) for cell in cells} or {"1"}
    return any(
        all(_are_enabled([_enable(cell) for cell in place], *pair) for place in places)
        for pair in product(enables, repeat=2)
    )


def _are_enabled(enables, first, second):
    """Whether a place's registers can have ``first`` and ``second`` as their enables."""
    if len(enables) < 2:
        return set(enables) <= {first, second}
    return enables in ([first, second], [second, first])


def _common(cell):
    """What registers of four places share: the clock, its edge, the reset and whether it waits."""
    ports, kind = cell["connections"], cell["type"]
    edge = cell.get("parameters", {}).get("IS_C_INVERTED", "0")
    return ports["C"][0], edge, ports[REGISTERS[kind]][0], kind in ASYNCHRONOUS


def _enable(cell):
    return cell["connections"]["CE"][0]


def is_constant(bit: Bit) -> bool:
    """Whether a bit of a netlist is none of a net."""
    return isinstance(bit, str)
