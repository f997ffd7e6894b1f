"""The address generator of column 0: address and coordinates of each step, from its loops."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay, register
from hw.layouts import TILES_STRUCT
from hw.spec.config import ADDRESS_BITS, COLUMN_STEPS, COORDINATE_BITS
from hw.step import POSITION, Offsets

# Six addends in pairs take three adders, and the choice of the skip operand one stage more.
ORIGIN_STAGES = 4


class Place(data.Struct):
    """Address and image coordinates of the word that one column reads."""

    address: ADDRESS_BITS
    x: POSITION
    y: POSITION


class Frame(data.Struct):
    """The part of a read request that all columns of a step share."""

    valid: 1
    width: signed(COORDINATE_BITS)
    height: signed(COORDINATE_BITS)
    anywhere: 1  # has no coordinates: never outside
    pad_value: signed(16)
    columns: COLUMN_STEPS + 1


class Origin(wiring.Component):
    """Sum up the offsets, ``ORIGIN_STAGES`` cycles from inputs to outputs.

    Members
    -------
    valid, skip : In(1), offsets : In(Offsets), instruction : In(TILES_STRUCT)
        The step, as the sequencer gives it.
    place : Out(Place)
        The place of column 0; in the skip step, that of the skip operand.
    steps : Out(COLUMN_STEPS of Place)
        The offset that bit b of a column's number adds to column 0's place.
    frame : Out(Frame)
    """

    valid: In(1)
    skip: In(1)
    offsets: In(Offsets)
    instruction: In(TILES_STRUCT)
    place: Out(Place)
    steps: Out(data.ArrayLayout(Place, COLUMN_STEPS))
    frame: Out(Frame)

    def elaborate(self, platform):
        m = Module()
        skip = delay(m, self.skip, 2, name="skip")

        place = register(m, self.place, name="place")
        m.d.sync += place.address.eq(self._address(m, skip))
        for axis, offsets in (("x", ("kernel_x", "tile_x")), ("y", ("kernel_row", "tile_row"))):
            position = self._position(m, axis, *(self.offsets[name] for name in offsets))
            m.d.sync += place[axis].eq(delay(m, position, 1, name=axis))
        self._pass_on(m, skip)

        return m

    def _address(self, m, skip):
        """Two operands of the last adder, chosen before it: input or skip operand."""
        offsets, instruction = self.offsets, self.instruction
        # Sums are made in pairs, one adder per stage, so that no path has two carry chains.
        pairs = (
            ("near", offsets.block, offsets.kernel_x),
            ("far", offsets.kernel_y, offsets.tile_x),
            ("base", offsets.tile_y, instruction.input_address),
            ("skip_tile", offsets.skip_tile_y, offsets.skip_tile_x),
        )
        sums = {name: _sum(m, name, ADDRESS_BITS, left, right) for name, left, right in pairs}
        skip_base = delay(m, instruction.skip_address, 1, name="skip_base")
        window = _sum(m, "window", ADDRESS_BITS, sums["near"], sums["far"])
        skip_place = _sum(m, "skip_place", ADDRESS_BITS, sums["skip_tile"], skip_base)
        base = delay(m, sums["base"], 1, name="base")
        left, right = Signal(ADDRESS_BITS, name="left"), Signal(ADDRESS_BITS, name="right")
        m.d.sync += [left.eq(Mux(skip, skip_place, window)), right.eq(Mux(skip, 0, base))]
        return (left + right)[:ADDRESS_BITS]

    def _position(self, m, axis, kernel, tile):
        first = delay(m, self.instruction[f"input_{axis}"], 1, name=f"first_{axis}")
        offset = _sum(m, f"offset_{axis}", POSITION, kernel, tile)
        return _sum(m, f"position_{axis}", POSITION, offset, first)

    def _pass_on(self, m, skip):
        """Fields of the instruction, for the columns."""
        instruction, own = self.instruction, register(m, self.steps, name="steps")
        for bit in range(COLUMN_STEPS):
            fields = ("skip_column", "column_address", "column_x", "column_y")
            skip_step, *steps = (
                delay(m, instruction[f"{name}_{bit}"], 3, name=f"{name}_{bit}") for name in fields
            )
            # The choice is made a stage late, since the steps are added to a place that is late,
            # too.
            late = delay(m, skip, 1, name=f"skip_{bit}")
            address, x, y = steps
            m.d.sync += [
                own[bit].address.eq(Mux(late, skip_step, address)),
                own[bit].x.eq(x),
                own[bit].y.eq(y),
            ]
        frame = Signal(Frame, name="frame_0")
        m.d.comb += [
            frame.valid.eq(self.valid),
            frame.width.eq(instruction.input_width),
            frame.height.eq(instruction.input_height),
            # A skip operand is read where the result is written, which is never outside.
            frame.anywhere.eq(self.skip),
            frame.pad_value.eq(instruction.pad_value),
            frame.columns.eq(instruction.columns),
        ]
        m.d.comb += self.frame.eq(delay(m, frame, ORIGIN_STAGES, name="frame"))


def _sum(m, name, shape, left, right):
    """Register of ``left + right``, which wraps."""
    total = Signal(shape, name=name, reset_less=True)
    m.d.sync += total.eq(left + right)
    return total
