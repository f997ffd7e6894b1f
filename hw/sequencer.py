"""The sequencer: one instruction in, one step per cycle out."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.delay import delay, register
from hw.fence import Fence
from hw.layouts import TILES_STRUCT
from hw.loop import Loop
from hw.spec.timing import PRODUCT_STAGES, TABLE_STAGES
from hw.step import Offsets, Step

TERM = ("blocks", "kernel_x", "kernel_y")  # loops of one term, from the innermost on
# The sum moves between terms, so that each is summed whole before the next one.
INNER = (*TERM, "terms")  # within a tile
OUTER = ("tiles_x", "tiles_y")
STEPS = {  # offset: the loop that it follows, the field that it grows by
    "block": ("blocks", "block_step"),
    "kernel_x": ("kernel_x", "kernel_x_stride"),
    "kernel_y": ("kernel_y", "kernel_y_step"),
    "kernel_row": ("kernel_y", "kernel_y_stride"),
    "tile_x": ("tiles_x", "tile_x_stride"),
    "tile_y": ("tiles_y", "tile_y_step"),
    "tile_row": ("tiles_y", "tile_y_stride"),
    "skip_tile_x": ("tiles_x", "skip_tile_x_step"),
    "skip_tile_y": ("tiles_y", "skip_tile_y_step"),
    "output_tile_x": ("tiles_x", "output_tile_x_step"),
    "output_tile_y": ("tiles_y", "output_tile_y_step"),
    "output_column": ("tiles_x", "tile_width"),
    "output_row": ("tiles_y", "tile_height"),
}


class Sequencer(wiring.Component):
    """Walk through the loops of each instruction in turn (see ``hw.spec.isa.tiles``).

    Steps never stall, except for the waits that ``hw.spec.timing`` describes. All outputs belong
    to the cycle in which ``step.valid`` is 1.

    Parameters
    ----------
    write_latency : int
        ``hw.spec.timing.write_latency``, for the fence.

    Members
    -------
    i : In(stream.Signature(TILES_STRUCT))
    step : Out(Step), offsets : Out(Offsets), instruction : Out(TILES_STRUCT)
    begins : Out(1)
        The step is the first of its instruction.
    """

    def __init__(self, *, write_latency):
        self._write_latency = write_latency
        super().__init__(
            {
                "i": In(stream.Signature(TILES_STRUCT)),
                "step": Out(Step),
                "offsets": Out(Offsets),
                "instruction": Out(TILES_STRUCT),
                "begins": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.fence = fence = Fence(write_latency=self._write_latency)
        loops = {name: Loop() for name in (*INNER, *OUTER)}
        for name, loop in loops.items():
            m.submodules[name] = loop
        instruction = register(m, self.instruction, name="held")
        running, skipping = Signal(), Signal(name="skipping")
        term_last, inner_last = Signal(name="term_last"), Signal(name="inner_last")
        tile_ends, final = Signal(name="tile_ends"), Signal(name="final")
        outer_last = Signal(name="outer_last")
        go, ends, step = (Signal(name=name) for name in ("go", "ends", "step"))
        starts, start = Signal(name="starts"), Signal(name="start")
        multiplied = Mux(self.i.p.multiply, PRODUCT_STAGES, 0)
        tabled = Mux(self.i.p.table, TABLE_STAGES, 0)

        m.d.comb += [
            # Each loop says one cycle early whether its count is the last, so this is one gate.
            term_last.eq(Cat(loops[name].last for name in TERM).all()),
            inner_last.eq(term_last & loops["terms"].last),
            tile_ends.eq(Mux(instruction.skip, skipping, inner_last)),
            outer_last.eq(Cat(loops[name].last for name in OUTER).all()),
            final.eq(tile_ends & outer_last),
            # Only the last step of a tile may wait, for the epilogue of the tile before.
            go.eq(running & (~tile_ends | fence.tile_may_end)),
            ends.eq(running & tile_ends & fence.tile_may_end),
            # What goes but for skip steps: said anew, as many loops are behind it.
            step.eq(running & ~skipping & (instruction.skip | fence.tile_may_end | ~inner_last)),
            starts.eq(fence.may_start & (~running | (ends & outer_last))),
            self.i.ready.eq(start),
            # fence
            fence.offered.eq(self.i.valid & ~starts & ~start),
            fence.next_fence.eq(self.i.p.fence),
            fence.tile_ended.eq(ends),
            fence.interval.eq(instruction.interval),
            fence.started.eq(start),
            fence.next_interval.eq(self.i.p.interval),
            fence.next_late.eq(multiplied + tabled),
        ]
        # A register, as it takes over the whole instruction.
        m.d.sync += start.eq(starts)

        # After the loops of a tile comes its skip step, if it has one, which ends the tile. By
        # gates, not by If: a register whose enable is a gate waits for its net, too.
        begins_skip = running & instruction.skip & inner_last
        ends_skip = running & fence.tile_may_end
        m.d.sync += skipping.eq(Mux(skipping, ~ends_skip, begins_skip))
        with m.If(go):
            m.d.sync += running.eq(~final)
        with m.If(start):
            m.d.sync += [running.eq(1), instruction.eq(self.i.payload)]

        self._connect_loops(m, loops, start, step, ends)
        self._say(m, go, tile_ends, final, skipping, start)
        self._follow_weights(m, start, step, term_last, inner_last)
        self._follow_offsets(m, loops, start)

        return m

    def _connect_loops(self, m, loops, start, step, tile_ends):
        """Each loop goes on when the one inside it has come to its end."""
        for names, advance in ((INNER, step), (OUTER, tile_ends)):
            for name in names:
                loop = loops[name]
                m.d.comb += [
                    loop.start.eq(start),
                    loop.limit.eq(self.i.payload[name]),
                    loop.advance.eq(advance),
                ]
                advance = advance & loop.last

    # What is said of a step, and its offsets, follow the loops a cycle later: from registers, since
    # the loops' way to all of them would be long.

    def _say(self, m, go, tile_ends, final, skipping, start):
        fresh = Signal(name="fresh", reset_less=True)  # no step of the instruction has gone
        with m.If(start):
            m.d.sync += fresh.eq(1)
        with m.Elif(go):
            m.d.sync += fresh.eq(0)
        m.d.comb += [
            self.step.valid.eq(delay(m, go, 1, name="goes", reset_less=False)),
            self.step.last.eq(delay(m, tile_ends, 1, name="ends")),
            self.step.final.eq(delay(m, final, 1, name="final")),
            self.step.skip.eq(delay(m, skipping, 1, name="skips")),
            self.begins.eq(delay(m, fresh, 1, name="begins")),
        ]

    def _follow_weights(self, m, start, step, term_last, inner_last):
        """Weight words from the same address again in each tile; the skip step reads none."""
        instruction = self.instruction
        first, term = (Signal(name=name, reset_less=True) for name in ("first", "term"))
        with m.If(start):
            m.d.sync += [first.eq(1), term.eq(1)]
        with m.Elif(step):
            m.d.sync += [first.eq(inner_last), term.eq(term_last)]
        restarts = delay(m, start | (step & inner_last), 1, name="restarts")
        follows = delay(m, step, 1, name="follows")
        address = Signal.like(self.step.weight_address, name="weight_address", reset_less=True)
        with m.If(restarts):
            m.d.sync += address.eq(instruction.weight_address)
        with m.Elif(follows):
            m.d.sync += address.eq(address + instruction.weight_step)
        m.d.comb += [
            self.step.first.eq(delay(m, first, 1, name="is_first")),
            self.step.term.eq(delay(m, term, 1, name="is_term")),
            self.step.weight_address.eq(address),
        ]

    def _follow_offsets(self, m, loops, start):
        offsets = register(m, self.offsets, name="sums")
        goes_on, ends = {}, {}
        for name, loop in loops.items():
            goes_on[name] = delay(m, loop.advance, 1, name=f"{name}_goes_on")
            ends[name] = delay(m, start | (loop.advance & loop.last), 1, name=f"{name}_ends")
        for name, (loop, field) in STEPS.items():
            # An offset starts again with its loop; addresses are sums of offsets, never products.
            with m.If(ends[loop]):
                m.d.sync += offsets[name].eq(0)
            with m.Elif(goes_on[loop]):
                m.d.sync += offsets[name].eq(offsets[name] + self.instruction[field])
