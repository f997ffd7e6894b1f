"""Runs of consecutive beats are cut into AXI4 bursts here, none of which crosses 4 KiB."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.axi import ADDRESS_BITS
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
    """Cut each run at every multiple of ``burst_beats``, one burst per cycle.

    Bursts that end at multiples of their greatest size cannot cross a 4 KiB boundary, and all but
    the first are whole. The first burst of a run is out one cycle after the run.

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
        busy = Signal()
        current = Signal.like(self.i.payload)
        room = Signal(range(self._burst_beats + 1))
        beats = Signal.like(room)
        ends_run = Signal()

        offset = current.address[self._beat_bits : block_start]
        m.d.comb += [
            # The first burst ends at the next multiple; every later one starts at a multiple.
            room.eq(self._burst_beats - offset),
            ends_run.eq(current.beats <= room),
            beats.eq(Mux(ends_run, current.beats[: len(beats)], room)),
            self.o.valid.eq(busy),
            self.o.p.address.eq(current.address),
            self.o.p.length.eq(beats - 1),
            self.o.p.last.eq(ends_run & current.last),
            # The next run is taken in the cycle of the last burst, so that bursts come without a
            # gap.
            self.i.ready.eq(~busy | (self.o.ready & ends_run)),
        ]

        with m.If(busy & self.o.ready):
            # The low bits become zero: all but the first burst are aligned.
            m.d.sync += current.address.eq(
                Cat(C(0, block_start), current.address[block_start:] + 1)
            )
            m.d.sync += current.beats.eq(current.beats - beats)
        with m.If(self.i.ready):
            m.d.sync += busy.eq(self.i.valid)
            m.d.sync += current.eq(self.i.payload)

        return m
