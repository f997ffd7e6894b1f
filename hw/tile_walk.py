"""The order in which a tile's results are made: pass by pass, and turn by turn in each.

A turn is ``words`` columns in a row, whose results are made in one cycle. Tiles are a multiple of
``words`` columns wide, or a part, both powers of two: then a turn is some rows of the tile. Tiles
of one row may have any width.
"""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.delay import delay, register
from hw.layouts import TILES_STRUCT
from hw.spec.config import ADDRESS_BITS, COLUMN_STEPS, SHIFT_BITS


def known_early(m, name, fresh, limit, single, advance, restart):
    """Whether a count from 0 on is the last below ``limit``: by a register, but for its start.

    Parameters
    ----------
    fresh : the cycle in which ``limit`` begins to hold, and the count is 0
    single : whether ``limit`` is 1, which holds as long
    advance, restart : the count goes on by one, or to 0 instead, at the end of this cycle
    """
    is_last = Signal(name=f"{name}_is_last", reset_less=True)
    ahead = Signal(len(limit), name=f"{name}_ahead", reset_less=True)  # two more than the count
    with m.If(restart | (fresh & ~advance)):
        m.d.sync += [is_last.eq(single), ahead.eq(2)]
    with m.Elif(advance):
        m.d.sync += [is_last.eq(Mux(fresh, 2, ahead) == limit), ahead.eq(Mux(fresh, 3, ahead + 1))]
    return Mux(fresh, single, is_last)


def turns_of(count, words):
    """Turns of so many columns, of which the last may have fewer."""
    return (count + words - 1)[exact_log2(words) : len(count)] if words > 1 else count


ONES = ("one_turn", "one_line", "one_pass")


def ones(columns, tile_width, passes, words):
    """Whether a pass is one turn, a line of the tile is one, and the tile one pass, by ``ONES``.

    It is asked where a tile is remembered, as there is no time for it where its walk begins.
    """
    counts = turns_of(columns, words), turns_of(tile_width, words), passes
    return {name: count == 1 for name, count in zip(ONES, counts, strict=True)}


class Turns(wiring.Component):
    """Count the turns of a tile, in each of its passes, from the cycle after ``begin``.

    Parameters
    ----------
    words : int
        Columns of a turn.

    Members
    -------
    begin : In(1)
    columns, passes : In
        Fields of the instruction; they hold from the cycle after ``begin`` to the next.
    one_turn, one_pass : In(1), see ``ones``
    valid : Out(1), last : Out(1)
        ``last``: the last turn of the last pass.
    turn : Out
    """

    def __init__(self, *, words):
        self._words = words
        super().__init__(
            {
                "begin": In(1),
                "columns": In(TILES_STRUCT["columns"].shape),
                "passes": In(TILES_STRUCT["passes"].shape),
                "one_turn": In(1),
                "one_pass": In(1),
                "valid": Out(1),
                "last": Out(1),
                "turn": Out(TILES_STRUCT["columns"].shape),
            }
        )

    def elaborate(self, platform):
        m = Module()
        number, pass_ends = Signal.like(self.passes, name="number"), Signal(name="pass_ends")
        fresh = delay(m, self.begin, 1, name="fresh")
        turns = turns_of(self.columns, self._words)
        ends = known_early(m, "turn", fresh, turns, self.one_turn, C(1), pass_ends)
        last_pass = known_early(m, "pass", fresh, self.passes, self.one_pass, pass_ends, C(0))
        m.d.comb += [pass_ends.eq(ends), self.last.eq(self.valid & pass_ends & last_pass)]
        m.d.sync += self.turn.eq(self.turn + 1)
        with m.If(pass_ends):
            m.d.sync += [self.turn.eq(0), number.eq(number + 1)]
        # By gates, not by If: a register whose enable is a gate waits for its net, too.
        m.d.sync += self.valid.eq(self.begin | (self.valid & ~self.last))
        with m.If(self.begin):
            m.d.sync += [self.turn.eq(0), number.eq(0)]

        return m


def narrower_than(bits, tile_width):
    """Of each width below ``2**bits`` that is a power of two, whether a tile has it."""
    return [tile_width == 1 << n for n in range(bits)]


def by_width(narrower, values, other):
    """The value of a tile that is 1, 2 ... columns wide, as ``narrower`` says; else ``other``."""
    for bit, value in zip(narrower, values, strict=True):
        other = Mux(bit, value, other)
    return other


_IN_PASS = ("turn", "x", "x_offset", "y", "line_offset")
_IN_TILE = ("number", "slice_shift", "pass_offset")


# Sums of steps, never products: y * pitch would be a multiplier.
class Walk(wiring.Component):
    """Walk through the passes of a tile, and the turns in each, from the cycle after ``begin``.

    Parameters
    ----------
    slice_bits : int
        Bits of a sum that a pass writes.
    words : int
        Columns of a turn.

    Members
    -------
    begin : In(1)
    columns, passes, tile_width, step, pitch, pass_step : In
        Fields of the instruction; they hold from the cycle after ``begin`` to the next.
    one_turn, one_line, one_pass : In(1), see ``ones``
    valid : Out(1), last : Out(1)
        ``last``: the last turn of the last pass.
    turn, number : Out
        ``number`` is that of the pass.
    slice_shift : Out(SHIFT_BITS)
        ``number`` times ``slice_bits``.
    x, y : Out, of the turn's first column in its tile
    x_offset : Out, line_offset, pass_offset : Out(ADDRESS_BITS)
        ``x * step``, ``y * pitch`` and ``number * pass_step``.
    """

    def __init__(self, *, slice_bits, words):
        self._slice_bits, self._words = slice_bits, words
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
                **{name: In(1) for name in ONES},
                "valid": Out(1),
                "last": Out(1),
                "turn": Out(TILES_STRUCT["columns"].shape),
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
        # The cycle of `begin` sets all of them: they need no reset beside it.
        in_pass = turn, x, x_offset, y, line_offset = self._own(m, *_IN_PASS)
        in_tile = number, slice_shift, pass_offset = self._own(m, *_IN_TILE)
        words, bits = self._words, exact_log2(self._words)
        # Of a tile that is narrower than a turn, each turn is some lines.
        narrower = narrower_than(bits, self.tile_width)
        lines = by_width(narrower, [1 << bits - n for n in range(bits)], 1)
        down = by_width(narrower, [self.pitch << bits - n for n in range(bits)], self.pitch)

        fresh, restart = delay(m, self.begin, 1, name="fresh"), line_ends | pass_ends
        lines_turns = turns_of(self.tile_width, words)
        line = known_early(m, "line", fresh, lines_turns, self.one_line, C(1), restart)
        turns = turns_of(self.columns, self._words)
        ends = known_early(m, "turn", fresh, turns, self.one_turn, C(1), pass_ends)
        last_pass = known_early(m, "pass", fresh, self.passes, self.one_pass, pass_ends, C(0))
        m.d.comb += [
            line_ends.eq(line),
            pass_ends.eq(ends),
            self.last.eq(self.valid & pass_ends & last_pass),
        ]

        m.d.sync += [
            turn.eq(turn + 1),
            x.eq(x + words),
            x_offset.eq(x_offset + (self.step << bits)),
        ]
        with m.If(line_ends):
            m.d.sync += [
                x.eq(0),
                x_offset.eq(0),
                y.eq(y + lines),
                line_offset.eq(line_offset + down),
            ]
        with m.If(pass_ends):
            m.d.sync += [signal.eq(0) for signal in in_pass]
            m.d.sync += [
                number.eq(number + 1),
                slice_shift.eq(slice_shift + self._slice_bits),
                pass_offset.eq(pass_offset + self.pass_step),
            ]
        m.d.sync += self.valid.eq(self.begin | (self.valid & ~self.last))
        with m.If(self.begin):
            m.d.sync += [signal.eq(0) for signal in (*in_pass, *in_tile)]

        return m

    def _own(self, m, *names):
        return tuple(register(m, getattr(self, name), name=f"own_{name}") for name in names)
