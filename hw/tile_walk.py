"""The order in which a tile's results are made: pass by pass, and column by column in each."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay
from hw.layouts import TILES_STRUCT
from hw.spec.config import ADDRESS_BITS, COLUMN_STEPS, SHIFT_BITS


def known_early(m, name, fresh, limit, advance, restart):
    """Whether a count from 0 on is the last below ``limit``: by a register, but for its start.

    Parameters
    ----------
    fresh : the cycle in which ``limit`` begins to hold, and the count is 0
    advance, restart : the count goes on by one, or to 0 instead, at the end of this cycle
    """
    single = limit == 1
    is_last = Signal(name=f"{name}_is_last", reset_less=True)
    ahead = Signal(len(limit), name=f"{name}_ahead", reset_less=True)  # two more than the count
    with m.If(restart | (fresh & ~advance)):
        m.d.sync += [is_last.eq(single), ahead.eq(2)]
    with m.Elif(advance):
        m.d.sync += [is_last.eq(Mux(fresh, 2, ahead) == limit), ahead.eq(Mux(fresh, 3, ahead + 1))]
    return Mux(fresh, single, is_last)


class Turns(wiring.Component):
    """Count the columns of a tile, in each of its passes, from the cycle after ``begin``.

    Members
    -------
    begin : In(1)
    columns, passes : In
        Fields of the instruction; they hold from the cycle after ``begin`` to the next.
    valid : Out(1), last : Out(1)
        ``last``: the last column of the last pass.
    column : Out
    """

    begin: In(1)
    columns: In(TILES_STRUCT["columns"].shape)
    passes: In(TILES_STRUCT["passes"].shape)
    valid: Out(1)
    last: Out(1)
    column: Out(TILES_STRUCT["columns"].shape)

    def elaborate(self, platform):
        m = Module()
        number, pass_ends = Signal.like(self.passes, name="number"), Signal(name="pass_ends")
        fresh = delay(m, self.begin, 1, name="fresh")
        ends = known_early(m, "column", fresh, self.columns, C(1), pass_ends)
        last_pass = known_early(m, "pass", fresh, self.passes, pass_ends, C(0))
        m.d.comb += [pass_ends.eq(ends), self.last.eq(self.valid & pass_ends & last_pass)]
        m.d.sync += self.column.eq(self.column + 1)
        with m.If(pass_ends):
            m.d.sync += [self.column.eq(0), number.eq(number + 1)]
        with m.If(self.last):
            m.d.sync += self.valid.eq(0)
        with m.If(self.begin):
            m.d.sync += [self.valid.eq(1), self.column.eq(0), number.eq(0)]

        return m


# Sums of steps, never products: y * pitch would be a multiplier.
class Walk(wiring.Component):
    """Walk through the passes of a tile, and the columns in each, from the cycle after ``begin``.

    Members
    -------
    begin : In(1)
    columns, passes, tile_width, step, pitch, pass_step : In
        Fields of the instruction; they hold from the cycle after ``begin`` to the next.
    valid : Out(1), last : Out(1)
        ``last``: the last column of the last pass.
    column, number : Out
        ``number`` is that of the pass.
    slice_shift : Out(SHIFT_BITS)
        ``number`` times ``slice_bits``.
    x, y : Out, of the column in its tile
    x_offset : Out, line_offset, pass_offset : Out(ADDRESS_BITS)
        ``x * step``, ``y * pitch`` and ``number * pass_step``.
    """

    def __init__(self, *, slice_bits):
        self._slice_bits = slice_bits
        inputs = {
            "columns": "columns",
            "passes": "passes",
            "tile_width": "tile_width",
            "step": "output_step",
            "pitch": "output_pitch",
            "pass_step": "pass_step",
        }
        super().__init__(
            {
                "begin": In(1),
                **{name: In(TILES_STRUCT[field].shape) for name, field in inputs.items()},
                "valid": Out(1),
                "last": Out(1),
                "column": Out(TILES_STRUCT["columns"].shape),
                "number": Out(TILES_STRUCT["passes"].shape),
                "slice_shift": Out(SHIFT_BITS),
                "x": Out(TILES_STRUCT["tile_width"].shape),
                "y": Out(TILES_STRUCT["tile_height"].shape),
                # Of at most a tile's widest row less one pixel.
                "x_offset": Out(TILES_STRUCT["output_step"].shape.width + COLUMN_STEPS),
                "line_offset": Out(ADDRESS_BITS),
                "pass_offset": Out(ADDRESS_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        line_ends, pass_ends = Signal(name="line_ends"), Signal(name="pass_ends")
        in_pass = (self.column, self.x, self.x_offset, self.y, self.line_offset)
        in_tile = (self.number, self.slice_shift, self.pass_offset)

        fresh, restart = delay(m, self.begin, 1, name="fresh"), line_ends | pass_ends
        line = known_early(m, "line", fresh, self.tile_width, C(1), restart)
        ends = known_early(m, "column", fresh, self.columns, C(1), pass_ends)
        last_pass = known_early(m, "pass", fresh, self.passes, pass_ends, C(0))
        m.d.comb += [
            line_ends.eq(line),
            pass_ends.eq(ends),
            self.last.eq(self.valid & pass_ends & last_pass),
        ]

        m.d.sync += [
            self.column.eq(self.column + 1),
            self.x.eq(self.x + 1),
            self.x_offset.eq(self.x_offset + self.step),
        ]
        with m.If(line_ends):
            m.d.sync += [
                self.x.eq(0),
                self.x_offset.eq(0),
                self.y.eq(self.y + 1),
                self.line_offset.eq(self.line_offset + self.pitch),
            ]
        with m.If(pass_ends):
            m.d.sync += [signal.eq(0) for signal in in_pass]
            m.d.sync += [
                self.number.eq(self.number + 1),
                self.slice_shift.eq(self.slice_shift + self._slice_bits),
                self.pass_offset.eq(self.pass_offset + self.pass_step),
            ]
        with m.If(self.last):
            m.d.sync += self.valid.eq(0)
        with m.If(self.begin):
            m.d.sync += self.valid.eq(1)
            m.d.sync += [signal.eq(0) for signal in (*in_pass, *in_tile)]

        return m
