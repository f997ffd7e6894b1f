"""An accelerator that needs nothing but a clock and a serial line: its memory is on chip."""

from dataclasses import dataclass

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out, connect
from amaranth.utils import exact_log2

from hw.block_memory import BlockMemory
from hw.serial import Receiver, Transmitter
from hw.spec.config import SvpeConfig
from hw.spec.registers import Register, Status
from hw.spec.serial import ANSWER, PATIENCE_BITS, SUM
from hw.start import Starter
from hw.top import Accelerator


@dataclass(frozen=True, kw_only=True)
class Network:
    """The network that a standalone accelerator runs. Addresses and sizes count bytes.

    Members
    -------
    content : of the memory, from address 0 on
    size : of the memory
    input, output : start of the region, and its length
    starts : writes of registers, (address, value), that start a run
    digest : 8 bytes that name the network
    """

    config: SvpeConfig
    content: bytes
    size: int
    input: tuple[int, int]
    output: tuple[int, int]
    starts: tuple[tuple[int, int], ...]
    digest: bytes


class Standalone(wiring.Component):
    """Run the network on each input that comes, and answer, as ``hw.spec.serial`` says.

    Parameters
    ----------
    network : Network
    divisor : int
        Cycles of a bit of the serial line.

    Members
    -------
    rx : In(1)
    tx : Out(1)
    busy : Out(1)
        An input is coming, or is computed.
    done, failed : Out(1)
        How the last run ended; they hold until the next input.
    """

    def __init__(self, network: Network, *, divisor):
        self._network, self._divisor = network, divisor
        names = ("tx", "busy", "done", "failed")
        super().__init__({"rx": In(1)} | {name: Out(1) for name in names})

    def elaborate(self, platform):
        m = Module()
        network, bits = self._network, self._network.config.bus_bits
        reads = (Register.CYCLES, Register.STATUS, Register.ERROR)
        m.submodules.accelerator = accelerator = Accelerator(network.config)
        m.submodules.memory = memory = BlockMemory(
            bus_bits=bits, size=network.size, content=network.content
        )
        m.submodules.starter = starter = Starter(writes=network.starts, reads=reads)
        m.submodules.receiver = receiver = Receiver(divisor=self._divisor)
        # Of zlib's polynomial, so that a host has it in its library.
        m.submodules.checksum = checksum = CRC32_ISO_HDLC(data_width=8).create()
        m.submodules.transmitter = transmitter = Transmitter(divisor=self._divisor)
        connect(m, accelerator.m_axi, memory.bus)
        connect(m, starter.bus, accelerator.s_axi)
        m.d.comb += [
            starter.interrupt.eq(accelerator.irq),
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
        ]

        cycles, status, error = starter.values
        # The order and the widths are those of hw.spec.serial.ANSWER.
        head = Cat(
            *(cycles, status[:8], error[:8], C(0, 16)),
            C(int.from_bytes(network.digest, "little"), 64),
        )
        word = Signal(max(bits, len(head)))
        with m.FSM() as states:
            with m.State("INPUT"):
                self._take_input(m, receiver, memory.host, starter, word[:bits], checksum)
            with m.State("RUN"):
                with m.If(starter.done):
                    m.d.sync += [self.done.eq(1), self.failed.eq((status & Status.FAILED) != 0)]
                    m.next = "HEAD"
            # Counters are read after the run; the head is made of what the starter has read.
            with m.State("HEAD"):
                m.d.sync += word.eq(head)
                m.next = "ANSWER"
            self._answer(m, transmitter, memory.host, word, checksum)
        with m.If(~states.ongoing("INPUT")):
            m.d.comb += self.busy.eq(1)

        return m

    def _take_input(self, m, receiver, host, starter, word, checksum):
        start, size = self._network.input
        width = len(word) // 8
        shift = exact_log2(width)
        count = Signal(range(size + 1))  # bytes that came
        # An input that stops half way is forgotten, so that the next byte begins a new one.
        # A host that stopped in the middle of an input must not spoil the next one.
        patience = PATIENCE_BITS * self._divisor
        idle = Signal(range(patience))
        filled = Signal()  # a word is whole

        m.d.sync += [filled.eq(0), idle.eq(Mux(count == 0, 0, idle + 1))]
        m.d.comb += [
            self.busy.eq(count != 0),
            host.owns.eq(1),
            host.write.eq(filled),
            host.write_data.eq(word),
            host.index.eq(start // width + (count >> shift) - 1),
            # The first byte begins a sum, also where an earlier input was forgotten.
            checksum.start.eq(count == 0),
            checksum.data.eq(receiver.o.payload),
            checksum.valid.eq(receiver.o.valid),
        ]
        with m.If(receiver.o.valid):
            m.d.sync += [word.eq(Cat(word[8:], receiver.o.payload)), count.eq(count + 1)]
            m.d.sync += [idle.eq(0), filled.eq(count[:shift] == width - 1)]
            m.d.sync += [self.done.eq(0), self.failed.eq(0)]
        with m.Elif(count == size):
            m.d.sync += count.eq(0)
            m.d.comb += starter.start.eq(1)
            m.next = "RUN"
        with m.Elif(idle == patience - 1):
            m.d.sync += count.eq(0)

    def _answer(self, m, transmitter, host, word, checksum):
        start, size = self._network.output
        width = self._network.config.bus_bits // 8
        sent = Signal(range(max(width, ANSWER.size)))  # bytes of `word`
        index = Signal(range(size // width + 1))  # the next word
        last = Signal.like(sent, init=ANSWER.size - 1)

        with m.State("ANSWER"):
            m.d.comb += [
                host.index.eq(start // width + index),
                host.owns.eq(1),  # so that the next word waits at the port
                transmitter.i.valid.eq(1),
                transmitter.i.payload.eq(word[:8]),
                checksum.data.eq(word[:8]),
                checksum.valid.eq(transmitter.i.ready),
            ]
            with m.If(transmitter.i.ready):
                m.d.sync += [word.eq(word >> 8), sent.eq(sent + 1)]
                with m.If(sent == last):
                    m.d.sync += [sent.eq(0), last.eq(width - 1), index.eq(index + 1)]
                    m.d.sync += word.eq(host.read_data)
                    with m.If(index == size // width):
                        m.d.sync += [index.eq(0), last.eq(last.init)]
                        m.next = "SUM"
        with m.State("SUM"):
            m.d.sync += word.eq(checksum.crc)
            m.next = "CHECK"
        with m.State("CHECK"):
            m.d.comb += [transmitter.i.valid.eq(1), transmitter.i.payload.eq(word[:8])]
            with m.If(transmitter.i.ready):
                m.d.sync += [word.eq(word >> 8), sent.eq(sent + 1)]
                with m.If(sent == SUM.size - 1):
                    m.d.sync += sent.eq(0)
                    m.next = "INPUT"
