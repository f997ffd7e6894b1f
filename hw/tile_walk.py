"""The order in which a tile's results are made: pass by pass, and column by column in each."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.layouts import TILES_STRUCT
from hw.spec.config import ADDRESS_BITS, COLUMN_STEPS, SHIFT_BITS


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
        m.d.comb += [
            pass_ends.eq(self.column + 1 == self.columns),
            self.last.eq(self.valid & pass_ends & (number + 1 == self.passes)),
        ]
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

        m.d.comb += [
            line_ends.eq(self.x + 1 == self.tile_width),
            pass_ends.eq(self.column + 1 == self.columns),
            self.last.eq(self.valid & pass_ends & (self.number + 1 == self.passes)),
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
