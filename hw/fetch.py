"""The instruction fetch: the program's bytes, in order, as instruction words."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.axi import ADDRESS_BITS
from hw.bursts import BURST, BurstSplitter
from hw.delay import delay, register
from hw.queue import Queue
from hw.spec.config import SvpeConfig
from hw.spec.isa.header import INSTRUCTION_BITS, INSTRUCTION_BYTES
from hw.spec.timing import FETCH_BUFFER_BEATS, FETCH_BURST_BEATS

# The register PROGRAM_BYTES has 32 bits: 32 million instructions.
PROGRAM_BITS = 32  # width of the program's length in bytes


class Fetch(wiring.Component):
    """Read a program ahead of its use.

    Asks for no more beats than it has room for, so that beats never wait on the bus: the load
    engine shares it, and an instruction may be waiting for that engine.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    start : In(1)
        For one cycle: begin, with these:
    base, program_bytes : In
        Byte address and length of the program; what is left after whole instructions is not read.
    requests : Out(stream.Signature(BURST))
    beats : In(stream.Signature(bus_bits, always_ready=True))
    o : Out(stream.Signature(INSTRUCTION_BITS))
    address : Out(ADDRESS_BITS)
        Where the instruction at ``o`` came from; after the last one, the program's end.
    exhausted : Out(1)
        No more instructions will come.
    """

    def __init__(self, config: SvpeConfig):
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "base": In(ADDRESS_BITS),
                "program_bytes": In(PROGRAM_BITS),
                "requests": Out(stream.Signature(BURST)),
                "beats": In(stream.Signature(config.bus_bits, always_ready=True)),
                "o": Out(stream.Signature(INSTRUCTION_BITS)),
                "address": Out(ADDRESS_BITS),
                "exhausted": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus_bits, bus_bytes = self._config.bus_bits, self._config.bus_bytes
        instruction_beats = INSTRUCTION_BITS // bus_bits
        m.submodules.bursts = bursts = BurstSplitter(
            bus_bytes=bus_bytes, burst_beats=FETCH_BURST_BEATS, beats_bits=PROGRAM_BITS
        )
        m.submodules.buffer = buffer = Queue(shape=bus_bits, depth=FETCH_BUFFER_BEATS)

        # Bytes behind the last whole instruction are never asked for.
        instructions = self.program_bytes >> exact_log2(INSTRUCTION_BYTES)
        left = Signal.like(instructions)
        m.d.comb += [
            bursts.i.valid.eq(self.start & instructions.any()),
            bursts.i.p.address.eq(self.base),
            bursts.i.p.beats.eq(instructions << exact_log2(instruction_beats)),
        ]

        # Room is taken before beats are asked for, so that they never wait on the shared bus.
        room = Signal(range(FETCH_BUFFER_BEATS + 1), init=FETCH_BUFFER_BEATS)
        reserved = Signal()  # a cycle before the request, as it is on the way of the load engine's
        popped = Signal()
        m.d.comb += [
            # For a whole burst, also where one is shorter: no more than a look at the high bits.
            reserved.eq(bursts.o.valid & (room >= FETCH_BURST_BEATS) & ~self.requests.valid),
            self.requests.payload.eq(bursts.o.payload),
            bursts.o.ready.eq(self.requests.valid & self.requests.ready),
            popped.eq(buffer.o.valid & buffer.o.ready),
            buffer.i.valid.eq(self.beats.valid),
            buffer.i.payload.eq(self.beats.payload),
        ]
        # The length is of one beat less, so that its inverse is what remains less all of them.
        m.d.sync += room.eq(room + Mux(reserved, ~bursts.o.p.length[: len(room)], 0) + popped)
        m.d.sync += self.requests.valid.eq(reserved | (self.requests.valid & ~self.requests.ready))

        beat = Signal(range(instruction_beats))
        word = register(m, self.o.payload, name="word")
        # One instruction at a time: whether it is taken does not reach its thousand registers.
        m.d.comb += buffer.o.ready.eq(~self.o.valid)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(popped):
            m.d.sync += [
                word.word_select(beat, bus_bits).eq(buffer.o.payload),
                self.o.valid.eq(beat == instruction_beats - 1),
                beat.eq(beat + 1),  # wraps: instructions have a power of two of beats
            ]

        # Counted a cycle later, as the way from the queues that have room to all bits is long.
        taken = delay(m, self.o.valid & self.o.ready, 1, name="taken", reset_less=False)
        address = register(m, self.address, name="instruction_address")
        with m.If(self.start):
            m.d.sync += [address.eq(self.base), left.eq(instructions)]
            m.d.sync += self.exhausted.eq(instructions == 0)
        with m.Elif(taken):
            m.d.sync += [address.eq(address + INSTRUCTION_BYTES), left.eq(left - 1)]
            m.d.sync += self.exhausted.eq(left == 1)

        return m
