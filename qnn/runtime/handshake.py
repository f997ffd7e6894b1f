"""What any host does to run an image: which registers to write, and what the answers mean."""

from collections.abc import Mapping
from dataclasses import dataclass

from hw.spec.image import Image
from hw.spec.registers import MAGIC, RUN_BITS, RUN_OFFSET, Control, Error, Register, Status
from qnn.errors import DeviceError

IDENTITY = ((Register.MAGIC, 1), (Register.FINGERPRINT, 2))  # with the 32-bit words of each
COUNTERS = (
    *(Register.LOAD_BUSY, Register.LOAD_STALL, Register.COMPUTE_BUSY),
    *(Register.COMPUTE_STALL, Register.STORE_BUSY, Register.STORE_STALL),
)
AFTER = (
    *((Register.STATUS, 1), (Register.ERROR, 1), (Register.ERROR_ADDRESS, 2)),
    *((Register.CYCLES, 2), (Register.TAG, 1)),
    *((counter, 1) for counter in COUNTERS),
)


@dataclass(frozen=True)
class Bases:
    """Memory byte addresses of the four regions, each the start of a page (``hw.spec.axi``)."""

    image: int
    input: int
    output: int
    scratch: int


@dataclass(frozen=True)
class Outcome:
    """Registers after a run."""

    status: Status
    number: int  # of the run that they tell of
    error: int
    error_address: int
    cycles: int
    tag: int
    counters: dict[str, int]  # cycles, by register name in lower case


def check_identity(values: Mapping[Register, int], image: Image, device: str) -> None:
    """Refuse a device that is none of ours, or of another configuration.

    Raises
    ------
    DeviceError
        ``values`` of ``IDENTITY`` are not what ``image`` needs.
    """
    if values[Register.MAGIC] != MAGIC:
        raise DeviceError(
            f"{device}: its first register reads {values[Register.MAGIC]:#010x}, but an "
            f"accelerator of this version reads {MAGIC:#010x}; check its address and bitstream"
        )
    if values[Register.FINGERPRINT] != image.config.fingerprint:
        raise DeviceError(
            f"{device}: the image is for {image.config} (fingerprint "
            f"{image.config.fingerprint:016x}), but the device has fingerprint "
            f"{values[Register.FINGERPRINT]:016x}; compile the model for the device's "
            f"configuration, by 'qnn compile --config BUILD' with the device's build"
        )


def start_writes(image: Image, bases: Bases, number: int) -> tuple[tuple[int, int], ...]:
    """Register address and 32-bit value of each write that starts run ``number``, in order."""
    return settings(image, bases) + commands(number)


def settings(image: Image, bases: Bases) -> tuple[tuple[int, int], ...]:
    """Register address and 32-bit value of what a run reads; each reads back as it was written."""
    writes = []
    for register, base in (
        (Register.IMAGE_BASE, bases.image),
        (Register.INPUT_BASE, bases.input),
        (Register.OUTPUT_BASE, bases.output),
        (Register.SCRATCH_BASE, bases.scratch),
    ):
        # The bus of the registers has 32 bits: low word first, as the register map lists them.
        writes += [(int(register), base & 0xFFFF_FFFF), (register + 4, base >> 32)]
    writes.append((int(Register.PROGRAM_BYTES), image.program_bytes))
    return tuple(writes)


def commands(number: int) -> tuple[tuple[int, int], ...]:
    """The writes that start run ``number`` with the settings that were made."""
    start = int(Control.START | Control.INTERRUPT_ENABLE)
    # An interrupt of the run before is cleared before this one may give its own.
    return (
        (int(Register.STATUS), int(Status.INTERRUPT)),
        (int(Register.CONTROL), start | number << RUN_OFFSET),
    )


def run_number(status: int) -> int:
    """The number of the run that the STATUS register tells of."""
    return status >> RUN_OFFSET


def next_number(number: int) -> int:
    """The number of the run after ``number``."""
    return (number + 1) % (1 << RUN_BITS)


def flags(status: int) -> Status:
    """The bits of the STATUS register that are no number."""
    return Status(status & ((1 << RUN_OFFSET) - 1))


def outcome(values: Mapping[Register, int]) -> Outcome:
    """The meaning of the values of ``AFTER``."""
    return Outcome(
        status=flags(values[Register.STATUS]),
        number=run_number(values[Register.STATUS]),
        # The code has eight bits; those above are none of it.
        error=values[Register.ERROR] & 0xFF,
        error_address=values[Register.ERROR_ADDRESS],
        cycles=values[Register.CYCLES],
        tag=values[Register.TAG],
        counters={counter.name.lower(): values[counter] for counter in COUNTERS},
    )


def failure(after: Outcome, image: Image, number: int) -> str | None:
    """Why run ``number`` failed, in one line; None if it did not."""
    if after.number != number:
        return another_run(after.number, number)
    if not after.status & Status.FAILED:
        return None
    what = {
        Error.READ: "a memory read answered an error",
        Error.WRITE: "a memory write answered an error",
        Error.INSTRUCTION: "an instruction has an operation code that does not exist",
    }.get(after.error, f"error code {after.error}")
    # An instruction's address says nothing to a user, the layer does.
    where = "" if after.error == Error.INSTRUCTION else f" at address {after.error_address:#x}"
    return f"{what}{where}; {newest_layer(after.tag, image)}"


def another_run(got: int, wanted: int) -> str:
    """Why registers are not believed that tell of a run which is not the one that was started."""
    return (
        f"its STATUS register tells of run number {got}, not of {wanted}: the START was lost, or "
        f"another driver has taken the accelerator; run again, with one driver at a time"
    )


def newest_layer(tag: int, image: Image) -> str:
    """What the TAG register says."""
    layer = image.layers[tag].name if tag < len(image.layers) else "none"
    return f"the newest layer was '{layer}'"
