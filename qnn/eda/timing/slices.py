"""What slices hold while clusters are put into them, and whether one more fits."""

from dataclasses import dataclass

from qnn.eda.timing.clusters import FLIP_FLOPS, LANES, Lane
from qnn.eda.timing.netlist import CONSTANTS

HALVES = 2  # of a slice; each has one reset, and one enable for the first flip-flops of its lanes
FULL = (1 << LANES) - 1
Row = dict[int, Lane]


@dataclass(slots=True, frozen=True)
class Slot:
    """A place for a flip-flop: lane, and first or second."""

    lane: int
    number: int


Slots = dict[int, Slot]  # by cell


class FilledSlice:
    """What one slice has taken, as masks of lanes, and what it was given."""

    __slots__ = ("chain", "enable", "given", "lut", "register", "reset", "x")

    def __init__(self):
        self.given: list[tuple[Row, int, Slots, bool]] = []
        self.clear()

    def clear(self) -> None:
        """Forget what is taken, but not what was given."""
        self.lut = self.x = 0
        self.register = [0, 0]  # first and second flip-flops
        self.chain = False
        self.reset = [None, None]  # of each half
        self.enable = [None, None, None, None]  # of each half, first and second flip-flops


class Slices:
    """All slices, by column and row.

    Parameters
    ----------
    enable, reset : the control nets of each cell
    """

    def __init__(self, enable, reset):
        self._held: dict[tuple[int, int], FilledSlice] = {}
        self._enable, self._reset = enable.tolist(), reset.tolist()

    def at(self, place: tuple[int, int]) -> FilledSlice:
        """The slice at a column and row."""
        if place not in self._held:
            self._held[place] = FilledSlice()
        return self._held[place]

    def copy(self) -> dict[tuple[int, int], list]:
        """What each slice was given."""
        return {place: list(held.given) for place, held in self._held.items()}

    def restore(self, given: dict[tuple[int, int], list]) -> None:
        """Take what ``copy`` gave."""
        for place, held in self._held.items():
            before = given.get(place, [])
            if held.given != before:
                held.given = list(before)
                self._retake(held)

    def fit(self, held: FilledSlice, row: Row, first: int, chain: bool) -> Slots | None:
        """Places for the flip-flops of a row whose lane 0 is at ``first``; None if none fit."""
        if chain and held.chain:
            return None
        mask = x = 0
        for n, lane in row.items():
            mask |= lane.uses_lut << (n + first)
            x |= (lane.x >= 0) << (n + first)
        if held.lut & mask or held.x & x:
            return None
        found: Slots = {}
        # Controls as they are, and as this row sets them so far.
        reset, enable = list(held.reset), list(held.enable)
        for n, lane in row.items():
            if lane.registers and not self._registers(
                held, lane.registers, n + first, reset, enable, found
            ):
                return None
        return found

    def _registers(self, held, cells, place, reset, enable, found):
        half, used = place * HALVES // LANES, 0
        for cell in cells:
            if reset[half] not in (None, self._reset[cell]):
                return False
            # Either flip-flop of the lane takes what comes from inside it.
            for number in range(FLIP_FLOPS):
                quarter = half * FLIP_FLOPS + number
                taken = (held.register[number] >> place | used >> number) & 1
                if not taken and enable[quarter] in (None, self._enable[cell]):
                    reset[half], enable[quarter] = self._reset[cell], self._enable[cell]
                    used |= 1 << number
                    found[cell] = Slot(place, number)
                    break
            else:
                return False
        return True

    def loose(self, held: FilledSlice, cell: int) -> Slot | None:
        """A place for a flip-flop whose input comes from outside: past a free pin, or None."""
        reset, enable = self._reset[cell], self._enable[cell]
        found = None
        for half in range(HALVES):
            if held.reset[half] not in (None, reset):
                continue
            for number in range(FLIP_FLOPS):
                own = held.enable[half * FLIP_FLOPS + number]
                if own not in (None, enable):
                    continue
                free = ~held.register[number]
                # The first flip-flop's way in is pin X; the second has a pin of its own.
                free &= FULL if number else ~held.x
                free &= 0x0F << (4 * half)
                if free & FULL:
                    # The lowest lane: which one makes no difference to a net through the fabric.
                    slot = Slot((free & -free).bit_length() - 1, number)
                    # Where the controls are the same already, other ones find more room elsewhere.
                    if own == enable:
                        return slot
                    found = found or slot
        return found

    def is_controlled(self, cell: int) -> bool:
        """Whether a signal enables or resets a flip-flop: such ones fit into few slices."""
        return self._reset[cell] >= CONSTANTS or self._enable[cell] >= CONSTANTS

    def put(self, held: FilledSlice, row: Row, first: int, slots: Slots, chain: bool) -> None:
        """Take what ``fit`` found."""
        held.given.append((row, first, slots, chain))
        self._take(held, row, first, slots, chain)

    def put_loose(self, held: FilledSlice, cell: int, slot: Slot) -> None:
        """Take a place that ``loose`` found."""
        row = {} if slot.number else {slot.lane: Lane(x=0)}
        self.put(held, row, 0, {cell: slot}, chain=False)

    def remove(self, held: FilledSlice, row: Row | None, cell: int | None = None) -> None:
        """Give back what was put: a cluster's row, or a flip-flop of its own."""
        held.given = [
            given
            for given in held.given
            if not (given[0] is row if cell is None else list(given[2]) == [cell])
        ]
        self._retake(held)

    def _retake(self, held):
        held.clear()
        for given in held.given:
            self._take(held, *given)

    def _take(self, held, row, first, slots, chain):
        held.chain |= chain
        for n, lane in row.items():
            held.lut |= lane.uses_lut << (n + first)
            held.x |= (lane.x >= 0) << (n + first)
        for cell, slot in slots.items():
            half = slot.lane * HALVES // LANES
            held.register[slot.number] |= 1 << slot.lane
            held.reset[half] = self._reset[cell]
            held.enable[half * FLIP_FLOPS + slot.number] = self._enable[cell]
