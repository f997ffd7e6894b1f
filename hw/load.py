"""The load engine: memory to on-chip buffers."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.bursts import BURST
from hw.delay import delay
from hw.layouts import (
    TRANSFER_STRUCT,
    feature_write,
    parameter_write,
    table_write,
    weight_write,
)
from hw.queue import Queue
from hw.runs import BASES
from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer
from hw.spec.timing import LOAD_BUFFER_BEATS, SIDES_LEAD
from hw.tokens import SIGNALS
from hw.transfers import Transfers
from hw.walk import PLACE

PORTS = tuple(buffer.name.lower() for buffer in Buffer)


def word_writes(config):
    """The stream into each buffer, which takes every word, by ``hw.spec.isa.buffers.Buffer``."""
    layouts = (
        feature_write(config),
        weight_write(config),
        parameter_write(config),
        table_write(config),
    )
    ports = (stream.Signature(layout, always_ready=True) for layout in layouts)
    return dict(zip(PORTS, ports, strict=True))


def word_beats(config):
    """Beats of one word of each buffer, by ``hw.spec.isa.buffers.Buffer``."""
    return tuple(buffer.word_beats(config) for buffer in Buffer)


class WordAssembler(wiring.Component):
    """Put each word together from its beats, one beat per cycle.

    A word is at its buffer's port one cycle after its last beat, or later if results are written
    to its side of the feature banks then. The padding in that beat is left out.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    places : In(stream.Signature(PLACE))
        Where the words go.
    beats : In(stream.Signature(bus_bits))
    features, weights, parameters, tables : Out, see ``word_writes``
    sides : In(sides)
        The sides that results are written to ``SIDES_LEAD`` cycles later.
    finished : Out(1)
        For one cycle, that a buffer has taken the last word of a transfer.
    """

    def __init__(self, config: SvpeConfig):
        self._config = config
        super().__init__(
            {
                "places": In(stream.Signature(PLACE)),
                "beats": In(stream.Signature(config.bus_bits)),
                **{name: Out(port) for name, port in word_writes(config).items()},
                "sides": In(config.sides),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        counts = word_beats(self._config)

        taken = delay(m, self.sides, SIDES_LEAD - 1, name="taken")  # in the next cycle
        # One register holds the word of any buffer; narrow words use its low beats.
        word = Signal(max(counts) * self._config.bus_bits, reset_less=True)
        place = Signal(PLACE, reset_less=True)
        waits = Signal()  # a feature word is there, whose side results are written to
        room = Signal(init=1)  # the opposite, by a register of its own: it has loads far away
        # One bit for each beat: which one comes next is a register, and no decoder.
        beat = Signal(max(counts), init=1)
        word_ends = Signal()
        ends = Signal()
        accept = Signal()
        outputs = [getattr(self, name) for name in PORTS]

        with m.Switch(self.places.p.buffer):
            for buffer in Buffer:
                with m.Case(buffer):
                    m.d.comb += word_ends.eq(beat[counts[buffer] - 1])
        m.d.comb += [
            # A beat is taken only when its word's place is known and the word register is free.
            self.beats.ready.eq(self.places.valid & room),
            accept.eq(self.beats.valid & self.beats.ready),
            # All that decides but the room, which is known last.
            ends.eq(self.beats.valid & self.places.valid & word_ends),
            self.places.ready.eq(ends & room),
            self.finished.eq(Cat(output.valid for output in outputs).any() & place.last),
        ]
        # What comes is kept, whether it is taken or not, as that is known later: a beat's part is
        # written again until its beat is taken, and a word that waits has its first beat next.
        for number, comes in enumerate(beat):
            with m.If(comes & room if number == 0 else comes):
                own = word.word_select(number, self._config.bus_bits)
                m.d.sync += own.eq(self.beats.payload)
        with m.If(room):
            m.d.sync += place.eq(self.places.payload)
        with m.If(accept):
            m.d.sync += beat.eq(Mux(word_ends, 1, beat << 1))
        for buffer, output in zip(Buffer, outputs, strict=True):
            # All buffers share one register: a word goes to the one that its transfer names.
            m.d.comb += [
                output.p.address.eq(place.address),  # cut to the width of this buffer
                output.p.data.eq(word),
            ]
            comes = ends & (self.places.p.buffer == buffer)
            if buffer is Buffer.FEATURES:
                # Known a cycle early: the way from the feature banks to all that waits is long.
                stays = self._takes(taken, place)
                blocked = comes & self._takes(taken, self.places.p)
                m.d.sync += [
                    output.valid.eq(Mux(waits, ~stays, comes & ~blocked)),
                    waits.eq(Mux(waits, stays, blocked)),
                    room.eq(~Mux(waits, stays, blocked)),
                ]
            else:
                m.d.sync += output.valid.eq(comes & room)

        return m

    def _takes(self, sides, place):
        """Whether the side of a place is among some."""
        return sides.bit_select(place.address[: exact_log2(self._config.sides)], 1)


class LoadEngine(wiring.Component):
    """Execute LOAD instructions; the bursts of the next ones go out while beats of one come in.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    i : In(stream.Signature(TRANSFER_STRUCT))
    bases : In(BASES)
    requests : Out(stream.Signature(BURST))
    beats : In(stream.Signature(bus_bits, always_ready=True))
        At most ``LOAD_BUFFER_BEATS`` more than have ``left``.
    left : Out(1)
        In the cycle after a beat has left the buffer for its word.
    features, weights, parameters, tables : Out, see ``word_writes``
    sides : In(sides), see ``WordAssembler``
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
                "requests": Out(stream.Signature(BURST)),
                "beats": In(stream.Signature(config.bus_bits, always_ready=True)),
                "left": Out(1),
                **{name: Out(port) for name, port in word_writes(config).items()},
                "sides": In(config.sides),
                "finished": Out(1),
                "finished_signals": Out(SIGNALS),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.transfers = transfers = Transfers(
            bus_bytes=config.bus_bytes, word_beats=word_beats(config)
        )
        m.submodules.buffer = buffer = Queue(shape=config.bus_bits, depth=LOAD_BUFFER_BEATS)
        m.submodules.assembler = assembler = WordAssembler(config)

        m.d.comb += [
            transfers.bases.eq(self.bases),
            assembler.sides.eq(self.sides),
            transfers.finished.eq(assembler.finished),
            self.finished.eq(assembler.finished),
            self.finished_signals.eq(transfers.signals),
            self.busy.eq(transfers.busy),
            buffer.i.valid.eq(self.beats.valid),
            buffer.i.payload.eq(self.beats.payload),
        ]
        # A register, as the way from a buffer that waits to the bus would be long.
        m.d.sync += self.left.eq(buffer.o.valid & buffer.o.ready)
        wiring.connect(m, wiring.flipped(self.i), transfers.i)
        wiring.connect(m, transfers.requests, wiring.flipped(self.requests))
        wiring.connect(m, transfers.places, assembler.places)
        wiring.connect(m, buffer.o, assembler.beats)
        for name in PORTS:
            wiring.connect(m, getattr(assembler, name), wiring.flipped(getattr(self, name)))

        return m
