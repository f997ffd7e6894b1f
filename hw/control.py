"""One run from START to DONE, and the counters that tell how it went."""

from amaranth import *
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from hw.axi import ADDRESS_BITS
from hw.spec.isa.header import Engine
from hw.spec.registers import Error

# Codes of hw.spec.registers.Error; a byte of the status register.
ERROR_BITS = 8
# A 32-bit count of cycles would wrap after 17 seconds at 250 MHz.
CYCLE_BITS = 64
# Engines' counts are for tuning, and one register each is enough for a run.
COUNTER_BITS = 32

FAULT = data.StructLayout({"code": ERROR_BITS, "address": ADDRESS_BITS})


class State(enum.Enum, shape=2):
    """The states of a run."""

    IDLE = 0
    BEGIN = 1  # the fetch starts
    RUN = 2
    # AXI has no way to take a burst back: what was asked for must be answered.
    DRAIN = 3  # nothing new goes out; transfers under way end


class RunControl(wiring.Component):
    """Start, end and stop runs.

    A run ends when its program has and all engines are idle, or at the first fault, or by
    ``reset``; always after the transfers that are under way.

    Members
    -------
    start, reset : In(1)
        Commands, for one cycle. START counts only between runs. RESET within a run stops it.
    complete : In(1)
        The program has ended and all engines are idle.
    read_error, write_error, instruction_error : In(1), and ``..._address``
    drained : In(1)
        No transfer is under way.
    clear : Out(1)
        Engines, queues and tokens return to their initial state at the end of this cycle.
    begin : Out(1)
        The fetch starts.
    halt : Out(1)
        No new burst may go out.
    busy, done, failed : Out(1)
    fault : Out(FAULT)
        The first fault of the last run.
    over : Out(1)
        For one cycle, that a run ended.
    cycles : Out(CYCLE_BITS)
        From START to DONE.
    """

    def __init__(self):
        errors = ("read", "write", "instruction")
        super().__init__(
            {"start": In(1), "reset": In(1), "complete": In(1), "drained": In(1)}
            | {f"{name}_error": In(1) for name in errors}
            | {f"{name}_error_address": In(ADDRESS_BITS) for name in errors}
            | {
                name: Out(1)
                for name in ("clear", "begin", "halt", "busy", "done", "failed", "over")
            }
            | {"fault": Out(FAULT), "cycles": Out(CYCLE_BITS)}
        )

    def elaborate(self, platform):
        m = Module()
        state = Signal(State)
        stopping = Signal()  # by RESET
        stop = stopping | self.reset

        m.d.comb += [
            self.begin.eq(state == State.BEGIN),
            self.halt.eq((state == State.IDLE) | (state == State.DRAIN)),
            self.busy.eq(state != State.IDLE),
        ]
        with m.If(self.busy):
            m.d.sync += self.cycles.eq(self.cycles + 1)
            m.d.sync += stopping.eq(stop)

        with m.Switch(state):
            with m.Case(State.IDLE):
                with m.If(self.start | self.reset):
                    self._clear(m)
                with m.If(self.start & ~self.reset):
                    m.d.sync += state.eq(State.BEGIN)
            # One cycle in which everything is cleared and the fetch is told to begin.
            with m.Case(State.BEGIN):
                m.d.sync += state.eq(State.RUN)
            with m.Case(State.RUN):
                self._note_faults(m)
                # Later faults follow from the first one, which is the only one that is kept.
                fault = self.read_error | self.write_error | self.instruction_error
                with m.If(self.complete | fault | stop):
                    m.d.sync += state.eq(State.DRAIN)
            with m.Case(State.DRAIN):
                self._note_faults(m)
                with m.If(self.drained):
                    m.d.sync += [state.eq(State.IDLE), self.done.eq(1)]
                    # A run that software stopped gives no interrupt: nobody waits for it.
                    m.d.comb += self.over.eq(~stop)
                    with m.If(stop):
                        self._clear(m)
                        m.d.sync += stopping.eq(0)

        return m

    def _note_faults(self, m):
        # The last assignment wins when several come in one cycle: a read error before a write
        # error.
        for code, error, address in (
            (Error.INSTRUCTION, self.instruction_error, self.instruction_error_address),
            (Error.WRITE, self.write_error, self.write_error_address),
            (Error.READ, self.read_error, self.read_error_address),
        ):
            with m.If(error & ~self.failed):
                m.d.sync += self.failed.eq(1)
                m.d.sync += self.fault.code.eq(code)
                m.d.sync += self.fault.address.eq(address)

    def _clear(self, m):
        m.d.comb += self.clear.eq(1)
        m.d.sync += [self.done.eq(0), self.failed.eq(0), self.fault.eq(0), self.cycles.eq(0)]


class EngineCounters(wiring.Component):
    """Count the cycles of a run in which each engine worked, and waited for a token.

    Members
    -------
    clear, run : In(1)
        ``clear`` sets all counts to 0; they count while ``run`` is set.
    busy, stalled : In(1).array(3), by ``Engine``
    busy_cycles, stall_cycles : Out(COUNTER_BITS).array(3), by ``Engine``
    """

    def __init__(self):
        count = len(Engine)
        super().__init__(
            {
                "clear": In(1),
                "run": In(1),
                "busy": In(1).array(count),
                "stalled": In(1).array(count),
                "busy_cycles": Out(COUNTER_BITS).array(count),
                "stall_cycles": Out(COUNTER_BITS).array(count),
            }
        )

    def elaborate(self, platform):
        m = Module()

        for engine in Engine:
            for event, cycles in (
                (self.busy[engine], self.busy_cycles[engine]),
                (self.stalled[engine], self.stall_cycles[engine]),
            ):
                with m.If(self.clear):
                    m.d.sync += cycles.eq(0)
                with m.Elif(self.run):
                    m.d.sync += cycles.eq(cycles + event)

        return m
