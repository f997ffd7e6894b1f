"""Clusters of a netlist: what a slice's wiring holds together, and what is placed as a whole.

A slice has eight lanes. Each has a LUT of six inputs, which may also be two of five inputs in all,
two flip-flops, a pin X past the LUT, and one output beside the LUT's own for whatever else leaves:
the second function, a bit of the carry chain or a multiplexer.
"""

from dataclasses import dataclass, field

LANES = 8  # of a slice
PAIR = 5  # inputs of two functions in one LUT
FLIP_FLOPS = 2  # of a lane


@dataclass(slots=True)
class Lane:
    """One lane of a cluster.

    Members
    -------
    big, small : the cells at O6 and O5; -1 for none
    through : the LUT only passes a net on, or holds a constant
    x : the net at pin X, constants included; -1 if the pin is free
    other : the net that leaves beside the LUT's own output; -1 for none
    registers : flip-flops whose input comes from the lane
    """

    big: int = -1
    small: int = -1
    through: bool = False
    x: int = -1
    other: int = -1
    registers: list[int] = field(default_factory=list)

    @property
    def uses_lut(self) -> bool:
        """Whether the lane's LUT is taken."""
        return self.big >= 0 or self.small >= 0 or self.through


@dataclass(slots=True)
class Cluster:
    """Lanes that keep their places to one another.

    Members
    -------
    rows : for each slice, from the lowest up, its lanes by number
    cells : carries, multiplexers and memories of each slice, with the number of their row
    step : the first lane is a multiple of it: 8 for carry chains and memories, 1 for a LUT
    memory : needs a slice whose LUTs are memories
    chain : holds the carry of its slices
    below : its first slice only brings a signal to the carry
    site : ``slice``, ``block``, ``half`` (of a block memory), ``dsp``, or ``port``, which takes no
        room
    loose : flip-flops without logic, which may part from one another
    """

    rows: list[dict[int, Lane]]
    cells: list[tuple[int, int, int]]
    step: int = LANES
    memory: bool = False
    chain: bool = False
    below: bool = False
    site: str = "slice"
    loose: list[int] = field(default_factory=list)

    def members(self) -> list[int]:
        """All cells of the cluster."""
        found = [cell for cell, _, _ in self.cells] + list(self.loose)
        for row in self.rows:
            for lane in row.values():
                found += [cell for cell in (lane.big, lane.small) if cell >= 0] + lane.registers
        return found


class Controls:
    """What the flip-flops of a slice share: a reset for each half, an enable for each quarter."""

    def __init__(self):
        self.lane = 0  # the present one
        self._reset: dict[int, int] = {}
        self._enable: dict[tuple[int, int], int] = {}

    def allows(self, enable: int, reset: int, slot: int) -> bool:
        """Whether a flip-flop of these controls may go to a slot of the lane; if so it is noted."""
        half = self.lane // 4
        if (
            self._reset.get(half, reset) != reset
            or self._enable.get((half, slot), enable) != enable
        ):
            return False
        self._reset[half], self._enable[half, slot] = reset, enable
        return True
