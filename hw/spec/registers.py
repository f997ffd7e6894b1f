"""The register map: 32-bit registers at byte addresses on AXI4-Lite."""

import enum

MAGIC = 0x514E_4E02  # "QNN", version 2 of the register map
WINDOW_BYTES = 4096  # of addresses: the least that an AXI interconnect maps

# A host numbers its runs. One word holds a command and its number, and one read tells how the run
# went and which run it was, so that a START that was lost cannot pass as the run before.
RUN_OFFSET = 8  # of the number, in CONTROL and in STATUS
RUN_BITS = 24


class Register(enum.IntEnum):
    """Byte addresses. 64-bit values take two registers, low word first."""

    MAGIC = 0x00  # read: MAGIC
    FINGERPRINT = 0x08  # read, 64 bits: SvpeConfig.fingerprint
    CONTROL = 0x10  # write: Control bits, and the run's number in bits 31:8; reads 0
    # Read: Status bits, and in bits 31:8 the number of the newest RESET, or START that counted.
    STATUS = 0x14  # writing 1s to INTERRUPT clears it
    ERROR = 0x18  # read: Error code in bits 7:0
    PROGRAM_BYTES = 0x1C  # write: length of the program at the image's start
    ERROR_ADDRESS = 0x20  # read, 64 bits: memory byte address of the failed burst
    IMAGE_BASE = 0x28  # write, 64 bits, whole pages (hw.spec.axi)
    INPUT_BASE = 0x30
    OUTPUT_BASE = 0x38
    SCRATCH_BASE = 0x40
    CYCLES = 0x48  # read, 64 bits: of the last run, from start to done
    LOAD_BUSY = 0x50  # read: cycles in which the engine worked
    LOAD_STALL = 0x54  # read: cycles in which it had an instruction and waited for a token
    COMPUTE_BUSY = 0x58
    COMPUTE_STALL = 0x5C
    STORE_BUSY = 0x60
    STORE_STALL = 0x64
    TAG = 0x68  # read: tag of the newest compute instruction


class Control(enum.IntFlag):
    """Bits of CONTROL."""

    START = 1  # counts only while not BUSY
    RESET = 2  # stops a run: BUSY till transfers under way end, then no error, no status
    INTERRUPT_ENABLE = 4


class Status(enum.IntFlag):
    """Bits of STATUS."""

    BUSY = 1
    DONE = 2  # the run ended, well or not; cleared by START
    FAILED = 4  # ERROR says why
    INTERRUPT = 8


# What a description of the map says beside addresses.
FIELDS = {Register.CONTROL: tuple(Control), Register.STATUS: tuple(Status)}  # bits, lowest first
WIDE = frozenset(  # of 64 bits
    {
        *(Register.FINGERPRINT, Register.ERROR_ADDRESS, Register.CYCLES, Register.IMAGE_BASE),
        *(Register.INPUT_BASE, Register.OUTPUT_BASE, Register.SCRATCH_BASE),
    }
)
READ_ONLY = frozenset(
    {
        *(Register.MAGIC, Register.FINGERPRINT, Register.ERROR, Register.ERROR_ADDRESS),
        *(Register.CYCLES, Register.LOAD_BUSY, Register.LOAD_STALL, Register.COMPUTE_BUSY),
        *(Register.COMPUTE_STALL, Register.STORE_BUSY, Register.STORE_STALL, Register.TAG),
    }
)


class Error(enum.IntEnum):
    """Codes of ERROR."""

    NONE = 0
    READ = 1  # an AXI read answered SLVERR or DECERR
    WRITE = 2  # an AXI write answered SLVERR or DECERR
    INSTRUCTION = 3  # an operation code that does not exist
