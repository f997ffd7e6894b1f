"""How long cells take: arcs of UltraScale+'s cells by speed grade, from public tables.

``make_cells`` makes the tables; each arc there says where it is from. Names are those of a netlist
by Yosys. The input of a LUT that a net ends at is the router's choice, so that an arc of a cell's
own input is the mean over the inputs of the device that paths of routed designs used.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from qnn.eda.timing.speeds import check_grade
from qnn.errors import ArgumentError
from qnn.fields import typed

CHECK = "setup"
REGISTERED = "_REG"
# Kinds of cells of a netlist, and of our tables.
KINDS = (
    (r"LUT[1-6]|INV|BUF", "LUT6"),
    (r"LUT6_2", "LUT6"),
    (r"FD[RSCP]E(_1)?", "FF"),
    (r"CARRY8", "CARRY8"),
    (r"MUXF[789]", r"\g<0>"),
    (r"SRL(16|C32)E", "SRL"),
    (r"RAMB(18|36)E2", "RAMB"),
    (r"RAM\d\w+", "RAM"),
    (r"DSP48E2", "DSP48E2"),
)
RESETS = {"S": "R", "CLR": "R", "PRE": "R"}  # one pin of the slice


@dataclass(frozen=True)
class CellTables:
    """A file of arcs: cell, from, to, ns and source.

    Members
    -------
    inputs_used : of LUTs with one output, LUT6, and of second outputs, LUT5, on paths of routed
        designs, the share whose net ended at each input of the device
    """

    about: str
    speed_grade: str
    ratio_of_2_to_1: float
    sources: dict[str, str]
    inputs_used: dict[str, dict[str, float]]
    arcs: tuple[tuple[str, str, str, float, str], ...]


class CellDelays:
    """Delays of cells in a speed grade.

    Parameters
    ----------
    tables : the file of the speed grade
    """

    def __init__(self, tables: CellTables):
        self.tables = tables
        self._ns = {(cell, source, end): ns for cell, source, end, ns, _ in tables.arcs}
        for kind, shares in tables.inputs_used.items():
            mean = sum(share * self._ns[kind, pin, "O"] for pin, share in shares.items())
            self._ns[kind, "I", "O"] = mean

    @classmethod
    def load(cls, speed_grade: str) -> "CellDelays":
        """The tables that this package holds, for '-1' or '-2'."""
        check_grade(speed_grade)
        return cls(_tables(speed_grade))

    def arc(self, cell: str, from_pin: str, to_pin: str) -> float:
        """What a cell takes from one pin to another, in ns.

        Parameters
        ----------
        cell : type, as LUT6, LUT6_2, CARRY8, MUXF7, RAM64M8, SRLC32E
        from_pin, to_pin : of a bus with the bit, as ``S[3]``; an input of a LUT may be one of the
            device, ``A1`` to ``A6``

        Raises
        ------
        ArgumentError
            There is no such arc.
        """
        kind = _kind(cell)
        if kind in ("LUT6", "SRL", "RAM"):
            # What is stored in a LUT is read as a function of it is.
            table = "LUT5" if to_pin in ("O5", "DO5") else "LUT6"
            return self._find(table, from_pin if re.fullmatch(r"A[1-6]", from_pin) else "I", "O")
        # Each bit of a carry has its own times, so that the pins are as the netlist names them.
        return self._find(kind, from_pin, to_pin)

    def setup(self, cell: str, pin: str) -> float:
        """What ``pin`` needs before the clock's edge, in ns; raises as ``arc``."""
        kind = _kind(cell)
        if kind == "FF":
            pin = RESETS.get(pin, pin)
        elif kind == "RAM":
            pin = _stored(pin)
        elif kind != "SRL":
            pin = pin.split("[")[0]
        return self._find(kind, pin, CHECK)

    def clock_to_out(self, cell: str, pin: str, registered: bool = False) -> float:
        """What ``pin`` takes after the clock's edge, in ns; raises as ``arc``.

        Parameters
        ----------
        registered : whether a block RAM's output has its register
        """
        kind = _kind(cell)
        if kind == "FF":
            return self._find(kind, "C", "Q")
        if kind in ("SRL", "RAM"):
            return self._find("SRL", "CLK", "Q31" if pin == "Q31" else "Q")
        if kind == "RAMB":
            # The clock of the port whose output it is, also where one clock drives both.
            clock = "CLKBWRCLK" if re.match("DOUTP?B", pin) else "CLKARDCLK"
            return self._find(kind, clock, pin.split("[")[0] + REGISTERED * registered)
        return self._find(kind, "CLK", pin.split("[")[0])

    def _find(self, *arc):
        if arc not in self._ns:
            cell, source, end = arc
            raise ArgumentError(
                f"the tables of speed grade {self.tables.speed_grade} need an arc of {cell} from "
                f"{source} to {end}, but have none; take another pin"
            )
        return self._ns[arc]


def _kind(cell):
    for pattern, kind in KINDS:
        if found := re.fullmatch(pattern, cell):
            return found.expand(kind)
    raise ArgumentError(
        f"timing knows cells of UltraScale+, as LUT6 or CARRY8, not '{cell}'; synthesise for it"
    )


def _stored(pin):
    """The pin of a LUT that stores: write address, write enable or data."""
    if pin.startswith("WE"):
        return "WE"
    if found := re.fullmatch(r"(?:ADDR\w|WA|A|ADDR)\[?(\d*)\]?", pin):
        return f"WA{int(found[1] or 0) + 1}"
    return "I"


@cache
def _tables(speed_grade) -> CellTables:
    name = f"cells_{speed_grade[1:]}.json"
    return typed(CellTables, json.loads(files(__package__).joinpath("data", name).read_text()))
