"""The registers of one accelerator, used so that no access that goes wrong passes as a run.

An access is lost, comes twice or is read wrong where a bus, a bridge or a bitstream is at fault,
or another program uses the device. Then a run ends in a ``DeviceError``, never in outputs that are
not its own:

* What a run reads is written and read back before it starts.
* RESET and START carry a number, which STATUS echoes. It is one more than the last number that the
  accelerator knew, whoever wrote that one, so that a driver finds out that another one was there.
* What says that a run is over, and how it went, is read twice.
"""

from typing import NoReturn

from hw.spec.image import Image
from hw.spec.registers import RUN_OFFSET, Control, Register, Status
from qnn.errors import DeviceError
from qnn.runtime import handshake
from qnn.runtime.handshake import Bases, Outcome
from qnn.runtime.transport import Core

RESET_POLLS = 1000  # of STATUS; transfers under way take far less, on a memory that answers
STALE_INTERRUPTS = 3  # of earlier runs, that may come before a run's own
BUS = "check the bus between host and accelerator"


class ProvenCore:
    """One accelerator, behind ``core``; ``name`` is for errors."""

    def __init__(self, core: Core, name: str):
        self._core, self._name = core, name
        self._number: int | None = None  # of our newest RESET or START
        # What was read back since our RESET need not be written again.
        self._settings: dict[int, int] = {}

    def check_identity(self, image: Image) -> None:
        """Refuse a device that is none of ours, or of another configuration, by DeviceError."""
        identity = {register: self._read(register, n) for register, n in handshake.IDENTITY}
        handshake.check_identity(identity, image, self._name)

    def reset(self) -> None:
        """Stop a run: nothing new is sent, and it is forgotten when all that was sent is answered.

        Raises
        ------
        DeviceError
            The accelerator stays busy, or the RESET does not reach it.
        """
        self._settings.clear()
        numbers = [handshake.run_number(self._read(Register.STATUS)) for _ in range(2)]
        self._agree("the number in STATUS", *numbers)
        self._number = handshake.next_number(numbers[0])
        self._core.write(Register.CONTROL, Control.RESET | self._number << RUN_OFFSET)
        idle = self._number << RUN_OFFSET
        for _ in range(RESET_POLLS):
            # Twice, as memory is given away next: one wrong answer must not say that it is free.
            status, again = self._read(Register.STATUS), self._read(Register.STATUS)
            if status == again == idle:
                return
        if handshake.run_number(status) != self._number:
            raise DeviceError(
                f"{self._name}: a RESET with number {self._number} was written, but STATUS tells "
                f"of number {handshake.run_number(status)}; {BUS}, and use one driver at a time"
            )
        raise DeviceError(
            f"{self._name}: still busy after a reset, because its memory has not answered all that "
            f"is under way; load its bitstream again"
        )

    def is_ours(self) -> bool:
        """Whether nobody has reset or started the accelerator since we did."""
        # Twice: one wrong answer must not leave it at work on memory that is given back.
        looks = (handshake.run_number(self._read(Register.STATUS)) for _ in range(2))
        return any(number == self._number for number in looks)

    def check_ours(self, run: int) -> None:
        """Refuse to go on to ``run`` when another driver has taken accelerator and memory."""
        got = handshake.run_number(self._read(Register.STATUS))
        if got != self._number:
            self._refuse(run, handshake.another_run(got, self._number))

    def start(self, run: int, image: Image, bases: Bases) -> None:
        """Start a run of ``image`` with its regions at ``bases``; ``run`` is for errors.

        Raises
        ------
        DeviceError
            A register does not keep what was written, or the START was lost.
        """
        changed = [
            (address, value)
            for address, value in handshake.settings(image, bases)
            if self._settings.get(address) != value
        ]
        for address, value in changed:
            self._settings.pop(address, None)
            self._core.write(address, value)
        self._check_settings(run, changed)
        self._settings.update(changed)
        self._number = handshake.next_number(self._number)
        for address, value in handshake.commands(self._number):
            self._core.write(address, value)
        # At once, as the wait for a run that never started would be long.
        self.check_ours(run)

    def finish(self, run: int, image: Image, limit: int) -> Outcome:
        """Wait up to ``limit`` cycles for the end of the run that was started.

        Raises
        ------
        DeviceError
            It is not over, it failed, or it is another run that is.
        """
        for _ in range(1 + STALE_INTERRUPTS):
            interrupted = self._core.wait(limit)
            status = self._read(Register.STATUS)
            if status & Status.DONE or not interrupted:
                break
        if not status & Status.DONE and handshake.run_number(status) == self._number:
            layer = handshake.newest_layer(self._read(Register.TAG), image)
            self._refuse(
                run,
                f"time-out: not done after {limit:,} cycles; {layer}; check the device's clock and "
                f"memory",
            )
        values = {register: self._read(register, words) for register, words in handshake.AFTER}
        outcome = handshake.outcome(values)
        why = handshake.failure(outcome, image, self._number)
        if why:
            self._refuse(run, why)
        self._agree("STATUS", status, values[Register.STATUS])
        self._agree("CYCLES", outcome.cycles, self._read(Register.CYCLES, 2))
        return outcome

    def _check_settings(self, run, written):
        for address, value in written:
            got = self._core.read(address)
            if got != value:
                self._refuse(
                    run,
                    f"the register at {address:#04x} reads {got:#010x} after {value:#010x} was "
                    f"written to it; {BUS}",
                )

    def _refuse(self, run, why) -> NoReturn:
        raise DeviceError(f"{self._name}: run {run}: {why}")

    def _agree(self, what, first, second):
        if first != second:
            raise DeviceError(
                f"{self._name}: {what} reads {first:#x} and then {second:#x}, though nothing "
                f"changes it in between; {BUS}"
            )

    def _read(self, register, words=1):
        return sum(self._core.read(register + 4 * word) << (32 * word) for word in range(words))
