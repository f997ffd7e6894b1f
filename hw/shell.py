"""All of the accelerator but its compute core: bus, registers, fetch, load and store engines."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.axi import AxiLiteSignature, AxiSignature, attach
from hw.axi_lite import AxiLiteTarget
from hw.control import EngineCounters, RunControl
from hw.dispatch import Dispatch
from hw.fetch import Fetch
from hw.load import LoadEngine, word_writes
from hw.read_channel import ReadChannel, Reader
from hw.registers_bank import RegisterBank
from hw.resets import same_clock
from hw.spec.config import ADDRESS_BITS, SvpeConfig
from hw.spec.isa.buffers import Region
from hw.spec.isa.header import TAG_BITS, Engine
from hw.store import StoreEngine
from hw.tokens import INSTRUCTION_OF, TokenGates
from hw.write_channel import WriteChannel


class ComputePorts(wiring.Signature):
    """The wires between shell and core, as the shell drives them; named as in ``hw.compute``.

    Members
    -------
    clear : a register that holds the core in its initial state
    i : instructions whose tokens are there
    load_features, load_weights, load_parameters, load_tables : words for its buffers
    sides : of the feature banks, which no word is for ``SIDES_LEAD`` cycles later
    store_request : feature words to read; ``store_valid`` and ``store_data`` answer each a fixed
        time later
    finished, finished_signals : for one cycle, that an instruction is done, and its tokens
    busy : an instruction was taken and is not finished
    tag : of the newest instruction
    """

    def __init__(self, config: SvpeConfig):
        super().__init__(
            {
                "clear": Out(1),
                "i": Out(stream.Signature(INSTRUCTION_OF[Engine.COMPUTE])),
                **{f"load_{name}": Out(port) for name, port in word_writes(config).items()},
                "sides": In(config.sides),
                "store_request": Out(stream.Signature(ADDRESS_BITS)),
                "store_valid": In(1),
                "store_data": In(config.feature_bits),
                "finished": In(1),
                "finished_signals": In(len(Engine)),
                "busy": In(1),
                "tag": In(TAG_BITS),
            }
        )


class Shell(wiring.Component):
    """Connect the memory side: bus, registers, fetch, dispatch, tokens, load and store engines.

    Parameters
    ----------
    config : SvpeConfig

    Members
    -------
    s_axi : In(AxiLiteSignature())
    m_axi : Out(AxiSignature(bus_bits))
    irq : Out(1)
    compute : Out(ComputePorts(config))
    """

    def __init__(self, config: SvpeConfig):
        self._config = config
        super().__init__(
            {
                "s_axi": In(AxiLiteSignature()),
                "m_axi": Out(AxiSignature(config.bus_bits)),
                "irq": Out(1),
                "compute": Out(ComputePorts(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self._config
        m.submodules.axi_lite = axi_lite = AxiLiteTarget()
        m.submodules.bank = bank = RegisterBank(fingerprint=config.fingerprint)
        m.submodules.control = control = RunControl()
        m.submodules.counters = counters = EngineCounters()
        fetch, dispatch, gates = Fetch(config), Dispatch(), TokenGates()
        load, store = LoadEngine(config), StoreEngine(config)
        reads, writes = (
            ReadChannel(bus_bits=config.bus_bits),
            WriteChannel(bus_bits=config.bus_bits),
        )
        for name, part in {
            "fetch": fetch,
            "dispatch": dispatch,
            "gates": gates,
            "load": load,
            "store": store,
            "read_channel": reads,
            "write_channel": writes,
        }.items():
            # Everything that holds the state of a run is in its initial state between runs.
            m.submodules[name] = DomainRenamer("run")(part)

        self._hold(m, control)
        self._connect_bus(m, axi_lite, bank, reads, writes)
        self._connect_registers(m, bank, control, counters)
        self._connect_faults(m, control, fetch, dispatch, reads, writes)
        self._connect_instructions(m, bank, control, fetch, dispatch, gates, reads)
        self._connect_engines(m, bank, gates, load, store, reads, writes)
        self._connect_state(m, control, counters, dispatch, gates, load, store)

        return m

    def _hold(self, m, control):
        """A register each holds engines and core between runs, near to what it resets."""
        held = Signal(init=1, name="held", reset_less=True)
        core_held = Signal(init=1, name="core_held", reset_less=True)
        # The core's comes a cycle later, as no instruction is so soon; equal ones would be merged.
        m.d.sync += [held.eq(control.idle), core_held.eq(held)]
        same_clock(m, "run", reset=held)
        m.d.comb += self.compute.clear.eq(core_held)

    def _connect_bus(self, m, axi_lite, bank, reads, writes):
        connect(m, flipped(self.s_axi), axi_lite.bus)
        connect(m, axi_lite.registers, bank.access)
        attach(m, reads.bus, self.m_axi)
        attach(m, writes.bus, self.m_axi)
        m.d.comb += self.irq.eq(bank.irq)

    def _connect_registers(self, m, bank, control, counters):
        m.d.comb += [
            control.start.eq(bank.start),
            control.reset.eq(bank.reset),
            bank.busy.eq(control.busy),
            bank.done.eq(control.done),
            bank.failed.eq(control.failed),
            bank.over.eq(control.over),
            bank.error.eq(control.fault.code),
            bank.error_address.eq(control.fault.address),
            bank.cycles.eq(control.cycles),
            control.working.eq(self.compute.busy),
            control.tag.eq(self.compute.tag),
            bank.tag.eq(control.newest),
        ]
        for engine in Engine:
            m.d.comb += bank.busy_cycles[engine].eq(counters.busy_cycles[engine])
            m.d.comb += bank.stall_cycles[engine].eq(counters.stall_cycles[engine])

    def _connect_faults(self, m, control, fetch, dispatch, reads, writes):
        m.d.comb += [
            control.read_error.eq(reads.error),
            control.read_error_address.eq(reads.error_address),
            control.write_error.eq(writes.error),
            control.write_error_address.eq(writes.error_address),
            control.instruction_error.eq(dispatch.error),
            control.instruction_error_address.eq(fetch.address),
            control.drained.eq(reads.idle & writes.idle),
            reads.halt.eq(control.halt),
            writes.halt.eq(control.halt),
        ]

    def _connect_instructions(self, m, bank, control, fetch, dispatch, gates, reads):
        m.d.comb += [
            fetch.start.eq(control.begin),
            fetch.base.eq(bank.bases[Region.IMAGE]),
            fetch.program_bytes.eq(bank.program_bytes),
            dispatch.exhausted.eq(fetch.exhausted),
        ]
        connect(m, fetch.requests, reads.requests[Reader.FETCH])
        connect(m, reads.beats[Reader.FETCH], fetch.beats)
        connect(m, fetch.o, dispatch.i)
        for engine in Engine:
            connect(m, getattr(dispatch, engine.word), getattr(gates, f"{engine.word}_i"))

    def _connect_engines(self, m, bank, gates, load, store, reads, writes):
        compute = self.compute
        connect(m, gates.load_o, load.i)
        connect(m, gates.compute_o, flipped(compute.i))
        connect(m, gates.store_o, store.i)
        connect(m, load.requests, reads.requests[Reader.LOAD])
        connect(m, reads.beats[Reader.LOAD], load.beats)
        m.d.comb += reads.returned.eq(load.left)
        connect(m, load.features, flipped(compute.load_features))
        connect(m, load.weights, flipped(compute.load_weights))
        connect(m, load.parameters, flipped(compute.load_parameters))
        connect(m, load.tables, flipped(compute.load_tables))
        connect(m, store.requests, writes.requests)
        connect(m, store.beats, writes.beats)
        connect(m, store.request, flipped(compute.store_request))
        m.d.comb += [
            load.bases.eq(bank.bases),
            load.sides.eq(compute.sides),
            store.bases.eq(bank.bases),
            store.data_valid.eq(compute.store_valid),
            store.data.eq(compute.store_data),
            store.answered.eq(writes.finished),
        ]

    def _connect_state(self, m, control, counters, dispatch, gates, load, store):
        compute = self.compute
        for engine, part in zip(Engine, (load, compute, store), strict=True):
            m.d.comb += [
                gates.finished[engine].eq(part.finished),
                gates.signals[engine].eq(part.finished_signals),
                counters.busy[engine].eq(part.busy),
                counters.stalled[engine].eq(gates.stalled[engine]),
            ]
        # END may be fetched long before the engines have finished what was queued before it.
        idle = dispatch.empty & ~load.busy & ~compute.busy & ~store.busy
        m.d.comb += [
            counters.clear.eq(control.clear),
            counters.run.eq(control.busy),
            control.complete.eq(dispatch.ended & idle),
        ]
