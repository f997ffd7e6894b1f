"""The registers of ``hw.spec.registers``."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.axi import ADDRESS_BITS, REGISTER_BITS
from hw.axi_lite import RegisterAccess
from hw.control import COUNTER_BITS, CYCLE_BITS, ERROR_BITS
from hw.delay import delay
from hw.fetch import PROGRAM_BITS
from hw.pick import any_of
from hw.runs import BASES
from hw.spec.isa.buffers import Region
from hw.spec.isa.header import TAG_BITS, Engine
from hw.spec.registers import MAGIC, RUN_BITS, RUN_OFFSET, Control, Register, Status

_BASE_REGISTER = {
    Region.IMAGE: Register.IMAGE_BASE,
    Region.INPUT: Register.INPUT_BASE,
    Region.OUTPUT: Register.OUTPUT_BASE,
    Region.SCRATCH: Register.SCRATCH_BASE,
}


def _index(register):
    return register // (REGISTER_BITS // 8)


class RegisterBank(wiring.Component):
    """The registers that software sees; writes to read-only or missing registers are ignored.

    Parameters
    ----------
    fingerprint : int
        Of the configuration, 64 bits.

    Members
    -------
    access : In(RegisterAccess())
    start, reset : Out(1)
        Commands, for one cycle, the one after their write.
    program_bytes, bases : Out
    busy, done, failed, over, error, error_address, cycles, tag : In
        ``over``: for one cycle, that a run ended.
    busy_cycles, stall_cycles : In(COUNTER_BITS).array(3), by ``Engine``
    irq : Out(1)
        A run ended while INTERRUPT_ENABLE was set, and software has not cleared it.
    """

    def __init__(self, *, fingerprint):
        self._fingerprint = fingerprint
        super().__init__(
            {
                "access": In(RegisterAccess()),
                "start": Out(1),
                "reset": Out(1),
                "program_bytes": Out(PROGRAM_BITS),
                "bases": Out(BASES),
                "busy": In(1),
                "done": In(1),
                "failed": In(1),
                "over": In(1),
                "error": In(ERROR_BITS),
                "error_address": In(ADDRESS_BITS),
                "cycles": In(CYCLE_BITS),
                "tag": In(TAG_BITS),
                "busy_cycles": In(COUNTER_BITS).array(len(Engine)),
                "stall_cycles": In(COUNTER_BITS).array(len(Engine)),
                "irq": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        enable = Signal()
        run = Signal(RUN_BITS)  # the number of the run that STATUS tells of

        words = []
        # Values wider than a register take the following ones, low bits first.
        for register, value in self._values(run).items():
            for word in range(-(-len(value) // REGISTER_BITS)):
                index = _index(register) + word
                # Whether each is meant, a cycle before its bits are joined with all others'.
                meant = delay(m, self.access.read_index == index, 1, name=f"reads_{index}")
                words.append(Mux(meant, value[word * REGISTER_BITS :][:REGISTER_BITS], 0))
        m.d.comb += self.access.read_data.eq(any_of(words))

        self._write(m, Register.PROGRAM_BYTES, self.program_bytes)
        for region, register in _BASE_REGISTER.items():
            base = self.bases[region]
            self._write(m, register, base[:REGISTER_BITS])
            self._write(m, register + REGISTER_BITS // 8, base[REGISTER_BITS:])

        # A command acts in the cycle after its write: both its registers still hold it then.
        command, acknowledge = Signal(name="command"), Signal(name="acknowledge")
        m.d.sync += [
            command.eq(self._written(Register.CONTROL)),
            acknowledge.eq(self._written(Register.STATUS)),
        ]
        m.d.comb += self.start.eq(command & self._bit(Control.START))
        m.d.comb += self.reset.eq(command & self._bit(Control.RESET))
        with m.If(command):
            m.d.sync += enable.eq(self._bit(Control.INTERRUPT_ENABLE))
        # In the cycle that clears DONE: a host that reads its number reads of its own run, and one
        # whose START was lost, or came within another run, never reads it.
        with m.If(self.reset | (self.start & ~self.busy)):
            m.d.sync += run.eq(self.access.write_data[RUN_OFFSET:])
        # Writing a one clears the interrupt, as drivers expect of status registers.
        cleared = acknowledge & self._bit(Status.INTERRUPT)
        with m.If(self.over):
            m.d.sync += self.irq.eq(enable)
        # A start acknowledges too, so that a late interrupt of the run before cannot be taken for
        # its own.
        with m.Elif(cleared | self.start | self.reset):
            m.d.sync += self.irq.eq(0)

        return m

    def _values(self, run):
        status = {
            Status.BUSY: self.busy,
            Status.DONE: self.done,
            Status.FAILED: self.failed,
            Status.INTERRUPT: self.irq,
        }
        flags = [status[bit] for bit in Status]
        values = {
            Register.MAGIC: C(MAGIC, REGISTER_BITS),
            Register.FINGERPRINT: C(self._fingerprint, 2 * REGISTER_BITS),
            Register.STATUS: Cat(*flags, C(0, RUN_OFFSET - len(flags)), run),
            Register.ERROR: self.error,
            Register.PROGRAM_BYTES: self.program_bytes,
            Register.ERROR_ADDRESS: self.error_address,
            Register.CYCLES: self.cycles,
            Register.TAG: self.tag,
        }
        values |= {register: self.bases[region] for region, register in _BASE_REGISTER.items()}
        for engine in Engine:
            values[Register[f"{engine.name}_BUSY"]] = self.busy_cycles[engine]
            values[Register[f"{engine.name}_STALL"]] = self.stall_cycles[engine]
        return values

    def _write(self, m, address, target):
        """Let software write ``target``, each byte by its strobe."""
        with m.If(self.access.write & (self.access.write_index == _index(address))):
            for byte in range(-(-len(target) // 8)):
                place = slice(8 * byte, 8 * byte + 8)
                with m.If(self.access.write_strobe[byte]):
                    m.d.sync += target[place].eq(self.access.write_data[place])

    def _written(self, register):
        """Whether the bits that mean something are written, all in the lowest byte."""
        chosen = self.access.write_index == _index(register)
        return self.access.write & self.access.write_strobe[0] & chosen

    def _bit(self, flag):
        return self.access.write_data[flag.bit_length() - 1]
