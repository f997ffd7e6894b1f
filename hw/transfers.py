"""What the load and the store engine share: an instruction becomes bursts and buffer places."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bursts import BURST, BurstSplitter
from hw.layouts import TRANSFER_STRUCT
from hw.queue import Queue
from hw.runs import BASES, RunGenerator, beats_bits
from hw.skid import Skid
from hw.spec.isa.header import Engine
from hw.spec.timing import MAX_BURST_BEATS, TRANSFERS_IN_FLIGHT
from hw.tokens import SIGNALS, signals_of
from hw.walk import PLACE, WALK, Walk, walk_of


class Transfers(wiring.Component):
    """Execute up to ``TRANSFERS_IN_FLIGHT`` transfer instructions at a time, in order.

    Parameters
    ----------
    bus_bytes : int
    word_beats : tuple[int, ...]
        Beats of one word of each buffer, by ``hw.spec.isa.buffers.Buffer``.

    Members
    -------
    i : In(stream.Signature(TRANSFER_STRUCT))
    bases : In(BASES)
    requests : Out(stream.Signature(BURST))
        The bursts of all transfers.
    places : Out(stream.Signature(PLACE))
        The buffer words of all transfers.
    finished : In(1)
        For one cycle, that the oldest instruction is done ...
    signals : Out(SIGNALS)
        ... and to whom it gives tokens.
    busy : Out(1)
    """

    def __init__(self, *, bus_bytes, word_beats):
        self._bus_bytes, self._word_beats = bus_bytes, word_beats
        super().__init__(
            {
                "i": In(stream.Signature(TRANSFER_STRUCT)),
                "bases": In(BASES),
                "requests": Out(stream.Signature(BURST)),
                "places": Out(stream.Signature(PLACE)),
                "finished": In(1),
                "signals": Out(SIGNALS),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.runs = runs = RunGenerator(word_beats=self._word_beats)
        m.submodules.bursts = bursts = BurstSplitter(
            bus_bytes=self._bus_bytes,
            burst_beats=MAX_BURST_BEATS,
            beats_bits=beats_bits(self._word_beats),
        )
        m.submodules.walks = walks = Queue(shape=WALK, depth=TRANSFERS_IN_FLIGHT)
        m.submodules.walk = walk = Walk()
        # Between the walk's counters and the engine that takes words when its buffer can.
        m.submodules.places = places = Skid(shape=PLACE)
        m.submodules.signals = signals = Queue(
            shape=SIGNALS, depth=TRANSFERS_IN_FLIGHT, early=slice(len(Engine))
        )

        # The queues take what the generator of runs holds in a register, before that takes another.
        # `walks` empties before `signals`, and so always has room where that has.
        accept = self.i.valid & runs.i.ready & signals.i.ready
        m.d.comb += [
            self.i.ready.eq(accept),
            runs.i.valid.eq(accept),
            runs.i.payload.eq(self.i.payload),
            runs.bases.eq(self.bases),
            walks.i.valid.eq(runs.came),
            Value.cast(walks.i.payload).eq(walk_of(runs.transfer)),
            signals.i.valid.eq(runs.came),
            signals.i.payload.eq(signals_of(runs.transfer)),
            signals.o.ready.eq(self.finished),
            self.signals.eq(signals.o.payload),
            # An instruction is busy until its signals have left, which is when it is finished.
            self.busy.eq(runs.came | signals.o.valid),
        ]
        connect(m, runs.o, bursts.i)
        connect(m, walks.o, walk.i)
        connect(m, walk.o, places.i)
        connect(m, places.o, flipped(self.places))
        connect(m, bursts.o, flipped(self.requests))

        return m
