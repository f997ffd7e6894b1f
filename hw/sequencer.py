"""The sequencer: one instruction in, one step per cycle out."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

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
    to the cycle in which ``step.valid`` is 1; the others hold between steps.

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
        instruction, running, skipping = self.instruction, Signal(), Signal(name="skipping")
        term_last, inner_last = Signal(name="term_last"), Signal(name="inner_last")
        tile_ends = Signal(name="tile_ends")
        go, start = self.step.valid, Signal(name="start")
        multiplied = Mux(self.i.p.multiply, PRODUCT_STAGES, 0)
        tabled = Mux(self.i.p.table, TABLE_STAGES, 0)

        m.d.comb += [
            # Each loop says one cycle early whether its count is the last, so this is one gate.
            term_last.eq(Cat(loops[name].last for name in TERM).all()),
            inner_last.eq(term_last & loops["terms"].last),
            tile_ends.eq(Mux(instruction.skip, skipping, inner_last)),
            # Only the last step of a tile may wait, for the epilogue of the tile before.
            go.eq(running & (~tile_ends | fence.tile_may_end)),
            self.step.last.eq(tile_ends),
            self.step.final.eq(tile_ends & Cat(loops[name].last for name in OUTER).all()),
            self.step.skip.eq(skipping),
            start.eq(fence.may_start & (~running | (go & self.step.final))),
            self.i.ready.eq(start),
            # fence
            fence.offered.eq(self.i.valid & ~start),
            fence.next_fence.eq(self.i.p.fence),
            fence.tile_ended.eq(go & tile_ends),
            fence.interval.eq(instruction.interval),
            fence.started.eq(start),
            fence.next_interval.eq(self.i.p.interval),
            fence.next_late.eq(multiplied + tabled),
        ]

        # After the loops of a tile comes its skip step, if it has one.
        with m.If(go & tile_ends):
            m.d.sync += skipping.eq(0)
        with m.Elif(go & inner_last):
            m.d.sync += skipping.eq(1)
        with m.If(go):
            m.d.sync += [self.begins.eq(0), running.eq(~self.step.final)]
        with m.If(start):
            m.d.sync += [self.begins.eq(1), running.eq(1), instruction.eq(self.i.payload)]

        self._connect_loops(m, loops, start, go & ~skipping, go & tile_ends)
        self._follow_weights(m, start, go & ~skipping, term_last, inner_last)
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

    def _follow_weights(self, m, start, step, term_last, inner_last):
        """Weight words from the same address again in each tile; the skip step reads none."""
        instruction = self.instruction
        with m.If(start):
            m.d.sync += [
                self.step.first.eq(1),
                self.step.term.eq(1),
                self.step.weight_address.eq(self.i.p.weight_address),
            ]
        with m.Elif(step):
            m.d.sync += [
                self.step.first.eq(inner_last),
                self.step.term.eq(term_last),
                self.step.weight_address.eq(
                    Mux(
                        inner_last,
                        instruction.weight_address,
                        self.step.weight_address + instruction.weight_step,
                    )
                ),
            ]

    def _follow_offsets(self, m, loops, start):
        for name, (loop, field) in STEPS.items():
            offset, advance, last = self.offsets[name], loops[loop].advance, loops[loop].last
            # An offset starts again with its loop; addresses are sums of offsets, never products.
            with m.If(start | (advance & last)):
                m.d.sync += offset.eq(0)
            with m.Elif(advance):
                m.d.sync += offset.eq(offset + self.instruction[field])
