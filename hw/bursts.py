"""Runs of consecutive beats are cut into AXI4 bursts here, none of which crosses 4 KiB."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.axi import ADDRESS_BITS
from hw.delay import register
from hw.spec.axi import MOST_BURST_BEATS, PAGE_BYTES

BURST = data.StructLayout(
    {
        "address": ADDRESS_BITS,
        "length": 8,  # beats less one, as AXI counts
        "last": 1,  # of its transfer
    }
)


def run(beats_bits):
    """Consecutive beats from a byte address that is a multiple of the beat."""
    return data.StructLayout({"address": ADDRESS_BITS, "beats": beats_bits, "last": 1})


class BurstSplitter(wiring.Component):
    """Cut each run at every multiple of ``burst_beats``, one burst every other cycle.

    Bursts that end at multiples of their greatest size cannot cross a 4 KiB boundary, and all but
    the first are whole. The first burst of a run is out two cycles after the run; all that is said
    of a burst is a register, and whether one is taken reaches one register alone.

    Parameters
    ----------
    bus_bytes, burst_beats : int
        Bytes of a beat and most beats of a burst: powers of two, together at most a page.
    beats_bits : int
        Width of a run's beat count, which is at least 1.

    Members
    -------
    i : In(stream.Signature(run(beats_bits)))
    o : Out(stream.Signature(BURST))
    """

    def __init__(self, *, bus_bytes, burst_beats, beats_bits):
        most = min(MOST_BURST_BEATS, PAGE_BYTES // bus_bytes)
        if not 1 < burst_beats <= most or burst_beats & (burst_beats - 1):
            raise ValueError(
                f"BurstSplitter burst_beats must be a power of two from 2 to {most} with beats of "
                f"{bus_bytes} bytes, not {burst_beats}"
            )
        self._beat_bits = exact_log2(bus_bytes)
        self._burst_beats = burst_beats
        super().__init__(
            {
                "i": In(stream.Signature(run(beats_bits))),
                "o": Out(stream.Signature(BURST)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        offset_bits = exact_log2(self._burst_beats)
        block_start = self._beat_bits + offset_bits
        beats_bits = len(self.i.p.beats)
        # The next run, with the place of its end from the start of its first block.
        waiting, taken = Signal(name="waiting"), Signal(name="taken")
        follows = Signal(name="follows")  # the next burst is of the same run
        run = Signal.like(self.i.payload, name="run", reset_less=True)
        end = Signal(beats_bits + 1, name="end", reset_less=True)
        # Of the run that is cut: blocks from here to that of its end, of which it has none where it
        # is ``exact``, and beats of the last burst less one.
        left = Signal(len(end) - offset_bits, name="left", reset_less=True)
        exact = Signal(name="exact", reset_less=True)
        tail, whole = Signal(offset_bits, name="tail", reset_less=True), self._burst_beats - 1
        last = Signal(name="run_last", reset_less=True)
        burst = register(m, self.o.payload, name="burst")

        m.d.comb += self.i.ready.eq(~waiting)
        with m.If(self.i.ready):
            m.d.sync += [
                waiting.eq(self.i.valid),
                run.eq(self.i.payload),
                end.eq(self.i.p.address[self._beat_bits : block_start] + self.i.p.beats),
            ]

        # The first burst ends at the next multiple; every later one starts at a multiple.
        blocks, rest = end[offset_bits:], end[:offset_bits]
        offset = run.address[self._beat_bits : block_start]
        one = (blocks == 0) | ((blocks == 1) & (rest == 0))  # the run is one burst
        next_ends = (left == 1) | ((left == 2) & exact)
        # Only what is valid matters, so that nothing but the cycle between two bursts moves them.
        m.d.comb += taken.eq(~self.o.valid & ~follows)
        with m.If(self.o.valid):
            m.d.sync += self.o.valid.eq(~self.o.ready)
        with m.Else():
            m.d.sync += self.o.valid.eq(follows | waiting)
        with m.If(taken & waiting):
            m.d.sync += waiting.eq(0)
        with m.If(taken):
            m.d.sync += [
                burst.address.eq(run.address),
                burst.length.eq(Mux(one, (run.beats - 1)[:offset_bits], whole - offset)),
                burst.last.eq(one & run.last),
                last.eq(run.last),
                follows.eq(waiting & ~one),
                left.eq(blocks),
                exact.eq(rest == 0),
                tail.eq(rest - 1),
            ]
        with m.Elif(~self.o.valid):
            m.d.sync += [
                # The low bits become zero: all but the first burst are aligned.
                burst.address.eq(Cat(C(0, block_start), burst.address[block_start:] + 1)),
                burst.length.eq(Mux(next_ends, tail, whole)),
                burst.last.eq(next_ends & last),
                follows.eq(~next_ends),
                left.eq(left - 1),
            ]

        return m
