"""When a tile may end and when an instruction may start, so that no two writes meet."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.layouts import TILES_STRUCT
from hw.spec.timing import PRODUCT_STAGES, TABLE_STAGES

INTERVAL = TILES_STRUCT["interval"].shape
FENCE = TILES_STRUCT["fence"].shape
START_LATENCY = 2  # from the cycle in which an instruction may start to its first step
# Cycles that writes may come later than the latency says.
LATE = range(PRODUCT_STAGES + TABLE_STAGES + 1)


class Fence(wiring.Component):
    """Count the cycles to the next tile's end and to the last write, as ``hw.spec.timing`` rules.

    Parameters
    ----------
    write_latency : int
        From a tile's last step to its first write.

    Members
    -------
    offered : In(1), next_fence, next_interval, next_late : In
        An instruction is waiting to start. It stays offered until it starts.
    may_start : Out(1)
        The offered instruction may start, if the one before it ends in this cycle or has ended.
        Its first step is then ``START_LATENCY`` cycles later.
    started : In(1)
        The offered instruction starts, which is not offered any more. From the next cycle on, its
        ``next_interval`` is ``interval``.
    tile_ended : In(1), interval : In
        The last step of a tile is in this cycle.
    tile_may_end : Out(1)
        The last step of a tile may be in this cycle.
    """

    offered: In(1)
    next_fence: In(FENCE)
    next_interval: In(INTERVAL)
    next_late: In(LATE)
    may_start: Out(1)
    started: In(1)
    tile_ended: In(1)
    interval: In(INTERVAL)
    tile_may_end: Out(1)

    def __init__(self, *, write_latency):
        self._write_latency = write_latency
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        # The longest drain: a tile's writes begin a latency after its end and take an interval at
        # most.
        most = self._write_latency + LATE[-1] + (1 << len(self.interval))

        may_end = Signal(init=1)
        wait = Signal.like(self.interval)  # cycles until a tile may end, plus one
        # Less than hw.spec.timing's by a cycle and those until the start, but at least zero.
        drain = Signal(range(most))
        span = Signal(range(most))  # what that will be right after this instruction's next tile
        offered, free, free_at_end = Signal(), Signal(), Signal(name="free_at_end")
        latency = Signal(range(self._write_latency + LATE[-1]))  # of the offered one, as `drain` is

        # All comparisons are made a cycle early; `drain` is stale in the cycle of a tile's end
        # and in the one after, for which `span` stands in.
        m.d.comb += [
            self.tile_may_end.eq(may_end),
            self.may_start.eq(offered & Mux(self.tile_ended, free_at_end, free)),
        ]
        m.d.sync += [
            offered.eq(self.offered),
            latency.eq(self.next_late + (self._write_latency - 1 - START_LATENCY)),
            free_at_end.eq(span < self.next_fence),
            free.eq(Mux(self.tile_ended, span <= self.next_fence, drain <= self.next_fence)),
            wait.eq(Mux(self.tile_ended, self.interval, wait - wait.any())),
            may_end.eq(Mux(self.tile_ended, ~self.interval[1:].any(), wait <= 2)),
            drain.eq(Mux(self.tile_ended, span - 1, drain - drain.any())),
        ]
        # Computed at the start, as the interval of an instruction does not change under way.
        with m.If(self.started):
            m.d.sync += span.eq(self.next_interval + latency)

        return m
