"""The address generator of a transfer's memory side: one run of beats for each of its rows."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.axi import ADDRESS_BITS
from hw.bursts import run
from hw.delay import register
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
    """Give the ``rows`` runs of each transfer; the first is out two cycles after the instruction.

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
    transfer : Out(TRANSFER_STRUCT), came : Out(1)
        The newest transfer; ``came`` in the cycle after it was taken.
    """

    def __init__(self, *, word_beats):
        self._word_beats = word_beats
        super().__init__(
            {
                "bases": In(BASES),
                "i": In(stream.Signature(TRANSFER_STRUCT)),
                "o": Out(stream.Signature(run(beats_bits(word_beats)))),
                "transfer": Out(TRANSFER_STRUCT),
                "came": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        waiting = Signal()
        transfer = register(m, self.transfer, name="newest")
        base = Signal.like(self.bases[0], name="base", reset_less=True)
        beats = Signal.like(self.o.p.beats, name="run_beats")
        rows, offset_step, ends = (
            Signal(shape, name=name, reset_less=True)
            for name, shape in (
                ("rows", transfer.rows.shape()),
                ("offset_step", transfer.offset_step.shape()),
                ("ends", 1),
            )
        )
        address, length = (
            register(m, getattr(self.o.p, name), name=name) for name in ("address", "beats")
        )

        # The base is chosen in a cycle of its own, as the instruction comes from a queue.
        m.d.comb += self.i.ready.eq(~waiting)
        m.d.sync += self.came.eq(self.i.valid & self.i.ready)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                waiting.eq(1),
                transfer.eq(self.i.payload),
                base.eq(self.bases[self.i.p.region]),
            ]
        with m.Switch(transfer.buffer):
            for buffer, word_beats in enumerate(self._word_beats):
                with m.Case(buffer):
                    m.d.comb += beats.eq(times(transfer.words, word_beats))

        m.d.comb += self.o.p.last.eq(ends)
        with m.If(self.o.valid):
            with m.If(self.o.ready):
                m.d.sync += [
                    self.o.valid.eq(~ends),
                    address.eq(address + offset_step),
                    rows.eq(rows - 1),
                    ends.eq(rows == 2),
                ]
        # One transfer at a time: its runs take cycles on the bus in any case.
        with m.Elif(waiting):
            m.d.sync += [
                waiting.eq(0),
                self.o.valid.eq(1),
                address.eq(base + transfer.offset),
                length.eq(beats),
                rows.eq(transfer.rows),
                ends.eq(transfer.rows == 1),
                offset_step.eq(transfer.offset_step),
            ]

        return m
