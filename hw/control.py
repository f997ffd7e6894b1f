"""One run from START to DONE, and the counters that tell how it went."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.axi import ADDRESS_BITS
from hw.delay import delay
from hw.spec.isa.header import TAG_BITS, Engine
from hw.spec.registers import Error

# Codes of hw.spec.registers.Error; a byte of the status register.
ERROR_BITS = 8
# A 32-bit count of cycles would wrap after 17 seconds at 250 MHz.
CYCLE_BITS = 64
# Engines' counts are for tuning, and one register each is enough for a run.
COUNTER_BITS = 32

FAULT = data.StructLayout({"code": ERROR_BITS, "address": ADDRESS_BITS})


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
    working : In(1), tag : In(TAG_BITS)
        The core has an instruction, and the tag of its newest.
    clear : Out(1)
        For one cycle, that what was told of the last run is forgotten.
    idle : Out(1), init 1
        No run is under way: a register, which holds engines, queues and tokens in their initial
        state, a cycle later. The fetch starts in the cycle after it falls.
    begin : Out(1)
        The fetch starts.
    halt : Out(1), init 1
        No new burst may go out: a register.
    busy, done, failed : Out(1)
    fault : Out(FAULT)
        The first fault of the last run.
    over : Out(1)
        For one cycle, that a run ended.
    cycles : Out(CYCLE_BITS)
        From START to DONE.
    newest : Out(TAG_BITS)
        The tag of the newest instruction of the run, or of the last one.
    """

    def __init__(self):
        errors = ("read", "write", "instruction")
        super().__init__(
            {"start": In(1), "reset": In(1), "complete": In(1), "drained": In(1)}
            | {"working": In(1), "tag": In(TAG_BITS)}
            | {f"{name}_error": In(1) for name in errors}
            | {f"{name}_error_address": In(ADDRESS_BITS) for name in errors}
            | {name: Out(1) for name in ("clear", "begin", "busy", "done", "failed", "over")}
            | {"idle": Out(1, init=1), "halt": Out(1, init=1)}
            | {"fault": Out(FAULT), "cycles": Out(CYCLE_BITS), "newest": Out(TAG_BITS)}
        )

    def elaborate(self, platform):
        m = Module()
        # A run is in one phase at a time, a register each; between runs it is `idle`.
        release = Signal()  # the engines leave their reset
        runs = Signal()
        # AXI has no way to take a burst back: what was asked for must be answered.
        drains = Signal()  # nothing new goes out; transfers under way end
        stopping = Signal()  # by RESET

        stop = stopping | self.reset
        # Later faults follow from the first one, which is the only one that is kept.
        fault = self.read_error | self.write_error | self.instruction_error
        starts, stops, ends = (Signal(name=name) for name in ("starts", "stops", "ends"))
        m.d.comb += [
            starts.eq(self.idle & self.start & ~self.reset),
            stops.eq(runs & (self.complete | fault | stop)),
            ends.eq(drains & self.drained),
            self.busy.eq(~self.idle),
            # A run that software stopped gives no interrupt: nobody waits for it.
            self.over.eq(ends & ~stop),
        ]
        # By gates, not by If: a register whose enable is a gate waits for its net, too.
        m.d.sync += [
            self.idle.eq((self.idle & ~starts) | ends),
            release.eq(starts),
            self.begin.eq(release),
            runs.eq(self.begin | (runs & ~stops)),
            drains.eq(stops | (drains & ~ends)),
            self.halt.eq((self.halt | stops) & ~release),
            stopping.eq(self.busy & stop & ~ends),
        ]
        with m.If(self.busy):
            m.d.sync += self.cycles.eq(self.cycles + 1)
        with m.If(self.working):
            m.d.sync += self.newest.eq(self.tag)
        with m.If(runs | drains):
            self._note_faults(m)
        with m.If(ends):
            m.d.sync += self.done.eq(1)
        with m.If((self.idle & (self.start | self.reset)) | (ends & stop)):
            self._clear(m)

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
        m.d.sync += [self.done.eq(0), self.failed.eq(0), self.fault.eq(0)]
        m.d.sync += [self.cycles.eq(0), self.newest.eq(0)]


class EngineCounters(wiring.Component):
    """Count the cycles of a run in which each engine worked, and waited for a token.

    A cycle is counted one later.

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
        # All is counted a cycle later, from registers: what happens is far from here.
        clear, run = (
            delay(m, value, 1, name=name)
            for name, value in (("clear", self.clear), ("run", self.run))
        )
        for engine in Engine:
            for name, happens, cycles in (
                ("busy", self.busy[engine], self.busy_cycles[engine]),
                ("stalled", self.stalled[engine], self.stall_cycles[engine]),
            ):
                event = delay(m, happens, 1, name=f"{engine.word}_{name}")
                with m.If(clear):
                    m.d.sync += cycles.eq(0)
                with m.Elif(run):
                    m.d.sync += cycles.eq(cycles + event)

        return m
