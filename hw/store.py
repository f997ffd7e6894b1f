"""The store engine: feature buffer to memory."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bursts import BURST
from hw.layouts import TRANSFER_STRUCT
from hw.marks import marks
from hw.queue import Queue
from hw.runs import BASES
from hw.spec.config import ADDRESS_BITS, SvpeConfig
from hw.spec.isa.buffers import Buffer
from hw.spec.timing import STORE_BUFFER_WORDS
from hw.tokens import SIGNALS
from hw.transfers import Transfers
from hw.walk import PLACE


class WordReader(wiring.Component):
    """Read feature words and cut them into beats, one beat per cycle.

    It asks for no more words than it has room for, because the buffer's answer cannot wait.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    places : In(stream.Signature(PLACE))
    request : Out(stream.Signature(ADDRESS_BITS))
        The feature word to read.
    data_valid, data : In
        The words asked for, in order, each a fixed time after its request.
    beats : Out(stream.Signature(bus_bits))
    """

    def __init__(self, config: SvpeConfig):
        self._config = config
        super().__init__(
            {
                "places": In(stream.Signature(PLACE)),
                "request": Out(stream.Signature(ADDRESS_BITS)),
                "data_valid": In(1),
                "data": In(config.feature_bits),
                "beats": Out(stream.Signature(config.bus_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits, bus_bits = self._config.feature_bits, self._config.bus_bits
        count = Buffer.FEATURES.word_beats(self._config)
        # Answers come a fixed time after their requests, whether the bus is free or not.
        m.submodules.words = words = Queue(shape=bits, depth=STORE_BUFFER_WORDS)

        # Room is taken when a word is asked for, because its answer cannot wait.
        asked, left = Signal(name="asked"), Signal(name="left")
        room = marks(
            m,
            STORE_BUFFER_WORDS,
            more=left,
            fewer=asked,
            name="room",
            init=STORE_BUFFER_WORDS,
        )
        has_room = room[0]
        beat = Signal(range(count))
        m.d.comb += [
            self.request.valid.eq(self.places.valid & has_room),
            self.request.payload.eq(self.places.p.address),
            self.places.ready.eq(self.request.ready & has_room),
            asked.eq(self.request.valid & self.request.ready),
            left.eq(words.o.valid & words.o.ready),
            words.i.valid.eq(self.data_valid),
            words.i.payload.eq(self.data),
            self.beats.valid.eq(words.o.valid),
            self.beats.payload.eq(words.o.payload.word_select(beat, bus_bits)),
            words.o.ready.eq(self.beats.ready & (beat == count - 1)),
        ]

        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += beat.eq(Mux(beat == count - 1, 0, beat + 1))

        return m


class StoreEngine(wiring.Component):
    """Execute STORE instructions; the bursts of the next ones go out while one is answered.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    i : In(stream.Signature(TRANSFER_STRUCT))
    bases : In(BASES)
    request, data_valid, data : see ``WordReader``
    requests : Out(stream.Signature(BURST))
    beats : Out(stream.Signature(bus_bits))
    answered : In(1)
        For one cycle, that the last burst of a transfer was answered.
    finished, finished_signals : Out
        For one cycle, that an instruction is done, and to whom it gives tokens.
    busy : Out(1)
    """

    def __init__(self, config: SvpeConfig):
        self._config = config
        super().__init__(
            {
                "i": In(stream.Signature(TRANSFER_STRUCT)),
                "bases": In(BASES),
                "request": Out(stream.Signature(ADDRESS_BITS)),
                "data_valid": In(1),
                "data": In(config.feature_bits),
                "requests": Out(stream.Signature(BURST)),
                "beats": Out(stream.Signature(config.bus_bits)),
                "answered": In(1),
                "finished": Out(1),
                "finished_signals": Out(SIGNALS),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.transfers = transfers = Transfers(
            bus_bytes=config.bus_bytes, word_beats=(Buffer.FEATURES.word_beats(config),)
        )
        m.submodules.reader = reader = WordReader(config)

        m.d.comb += [
            transfers.bases.eq(self.bases),
            transfers.finished.eq(self.answered),
            self.finished.eq(self.answered),
            self.finished_signals.eq(transfers.signals),
            self.busy.eq(transfers.busy),
            reader.data_valid.eq(self.data_valid),
            reader.data.eq(self.data),
        ]
        wiring.connect(m, wiring.flipped(self.i), transfers.i)
        wiring.connect(m, transfers.requests, wiring.flipped(self.requests))
        wiring.connect(m, transfers.places, reader.places)
        wiring.connect(m, reader.request, wiring.flipped(self.request))
        wiring.connect(m, reader.beats, wiring.flipped(self.beats))

        return m
