"""A stand-in for the compute core, to test what surrounds it."""

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import exact_log2

from hw.axi import AxiLiteSignature, AxiSignature
from hw.delay import delay
from hw.resets import same_clock
from hw.shell import ComputePorts, Shell
from hw.spec.timing import SIDES_LEAD, STORE_LATENCY

KEY_BITS = 32
_TAPS = (15, 13, 12, 10)  # of a 16-bit shift register of greatest period


class Loopback(wiring.Component):
    """Holds a feature buffer; what is stored is what was loaded, XOR a key in each 32 bits.

    A key gathers all weights, parameters and tables that came, with their addresses. An instruction
    takes the gathered key over after ``blocks`` cycles. With ``jitter``, loads and stores wait at
    random; a word that comes for a side that results are written to then is lost.
    """

    def __init__(self, config):
        self._config = config
        super().__init__({"ports": In(ComputePorts(config)), "jitter": In(1)})

    def elaborate(self, platform):
        m = Module()
        ports, config = self.ports, self._config
        m.submodules.features = features = memory.Memory(
            shape=config.feature_bits, depth=config.feature_words, init=[]
        )
        write, read = features.write_port(), features.read_port(domain="comb")

        noise = Signal(16, init=0xACE1)
        m.d.sync += noise.eq(Cat(Cat(noise[tap] for tap in _TAPS).xor(), noise))
        held = Signal()
        m.d.comb += held.eq(self.jitter & noise[7])

        gathered, key = Signal(KEY_BITS), Signal(KEY_BITS)
        words = (ports.load_weights, ports.load_parameters, ports.load_tables)
        for word in words:
            with m.If(word.valid):
                m.d.sync += gathered.eq(gathered.rotate_left(1) ^ fold(word.payload))

        sides = noise[: config.sides] & self.jitter.replicate(config.sides)
        address = ports.load_features.p.address
        written = delay(m, sides, SIDES_LEAD, name="written").bit_select(
            address[: exact_log2(config.sides)], 1
        )
        m.d.comb += [
            ports.sides.eq(sides),
            write.en.eq(ports.load_features.valid & ~written),
            write.addr.eq(address),
            write.data.eq(ports.load_features.p.data),
            ports.store_request.ready.eq(~held),
            read.addr.eq(ports.store_request.payload),
        ]
        valid = ports.store_request.valid & ports.store_request.ready
        data = read.data ^ key.replicate(-(-config.feature_bits // KEY_BITS))[: len(read.data)]
        for stage in range(STORE_LATENCY):
            next_valid, next_data = (
                Signal(name=f"valid_{stage}"),
                Signal(config.feature_bits, name=f"data_{stage}"),
            )
            m.d.sync += [next_valid.eq(valid), next_data.eq(data)]
            valid, data = next_valid, next_data
        m.d.comb += [ports.store_valid.eq(valid), ports.store_data.eq(data)]

        current = Signal.like(ports.i.payload)
        m.d.comb += [
            ports.i.ready.eq(ports.i.valid & ~ports.busy),
            ports.finished.eq(ports.busy & (current.blocks == 0)),
            ports.finished_signals.eq(
                Cat(current.signal_load, current.signal_compute, current.signal_store)
            ),
            ports.tag.eq(current.tag),
        ]
        with m.If(ports.i.valid & ports.i.ready):
            m.d.sync += [current.eq(ports.i.payload), ports.busy.eq(1)]
        with m.Elif(ports.busy):
            m.d.sync += current.blocks.eq(current.blocks - 1)
            with m.If(current.blocks == 0):
                m.d.sync += [key.eq(gathered), ports.busy.eq(0)]

        return m


def fold(word):
    """XOR of the 32-bit pieces of address and data, zeros above."""
    folded = word.address
    for start in range(0, len(word.data), KEY_BITS):
        folded = folded ^ word.data[start : start + KEY_BITS]
    return folded[:KEY_BITS]


class LoopbackAccelerator(wiring.Component):
    """The shell around the stand-in, with the accelerator's ports."""

    def __init__(self, config):
        self._config = config
        super().__init__(
            {
                "s_axi": In(AxiLiteSignature()),
                "m_axi": Out(AxiSignature(config.bus_bits)),
                "irq": Out(1),
                "jitter": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.shell = shell = Shell(self._config)
        loopback = Loopback(self._config)
        same_clock(m, "core", reset=shell.compute.clear)
        m.submodules.compute = DomainRenamer("core")(loopback)

        connect(m, flipped(self.s_axi), shell.s_axi)
        connect(m, shell.m_axi, flipped(self.m_axi))
        connect(m, shell.compute, loopback.ports)
        m.d.comb += [self.irq.eq(shell.irq), loopback.jitter.eq(self.jitter)]

        return m
