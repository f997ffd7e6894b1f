"""The address generator of a transfer's memory side: one run of beats for each of its rows."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.axi import ADDRESS_BITS
from hw.bursts import run
from hw.layouts import TRANSFER_STRUCT
from hw.spec.config import ADDRESS_BITS as WORD_ADDRESS_BITS
from hw.spec.isa.buffers import Region

BASES = data.ArrayLayout(ADDRESS_BITS, len(Region))


def beats_bits(word_beats):
    """The width of a count of beats in the longest run of words of these sizes."""
    return WORD_ADDRESS_BITS + max(word_beats).bit_length()


def times(value, factor):
    """``value * factor`` by shifts and adds: a multiplication sign could become a DSP."""
    return sum(
        ((value << bit) for bit in range(factor.bit_length()) if factor >> bit & 1), start=C(0, 1)
    )


class RunGenerator(wiring.Component):
    """Give the ``rows`` runs of each transfer; the first is out one cycle after the instruction.

    Parameters
    ----------
    word_beats : tuple[int, ...]
        Beats of one word of each buffer, by ``hw.spec.isa.buffers.Buffer``.

    Members
    -------
    bases : In(BASES)
        Byte address of each region.
    i : In(stream.Signature(TRANSFER_STRUCT))
    o : Out(stream.Signature(run))
    """

    def __init__(self, *, word_beats):
        self._word_beats = word_beats
        super().__init__(
            {
                "bases": In(BASES),
                "i": In(stream.Signature(TRANSFER_STRUCT)),
                "o": Out(stream.Signature(run(beats_bits(word_beats)))),
            }
        )

    def elaborate(self, platform):
        m = Module()

        transfer = self.i.p
        beats = Signal.like(self.o.p.beats)
        rows = Signal.like(transfer.rows)
        offset_step = Signal.like(transfer.offset_step)

        with m.Switch(transfer.buffer):
            for buffer, word_beats in enumerate(self._word_beats):
                with m.Case(buffer):
                    m.d.comb += beats.eq(times(transfer.words, word_beats))
        # One transfer at a time: its runs take cycles on the bus in any case.
        m.d.comb += self.i.ready.eq(~self.o.valid)
        m.d.comb += self.o.p.last.eq(rows == 1)

        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.p.address.eq(self.bases[transfer.region] + transfer.offset),
                self.o.p.beats.eq(beats),
                rows.eq(transfer.rows),
                offset_step.eq(transfer.offset_step),
            ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [
                self.o.valid.eq(rows != 1),
                self.o.p.address.eq(self.o.p.address + offset_step),
                rows.eq(rows - 1),
            ]

        return m
