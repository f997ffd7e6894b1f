"""What timing must know of each kind of UltraScale+ cell: its outputs, its clock, its arcs."""

import re

# Outputs by name, as Yosys writes no directions for the cells of a library.
OUTPUT = re.compile(
    r"O[56]?|CO|Q|Q15|Q31|[AS]PO|DO[A-H]?|DOUT\w*|P|\w+COUT|CARRYOUT|XOROUT|MULTSIGNOUT|CASDOUT\w*"
    r"|OVERFLOW|UNDERFLOW|PATTERNB?DETECT|[SD]BITERR|ECCPARITY|RDADDRECC|CASO\w+"
)
CLOCK = re.compile(r"C|CLK|WCLK|CLK[AB]\w*")
LUT = re.compile(r"LUT\d(_2)?|INV")
FLIP_FLOP = re.compile(r"FD[RSCP]E(_1)?")
MULTIPLEXER = re.compile(r"MUXF[789]")
CARRY = re.compile(r"CARRY8")
SHIFT_REGISTER = re.compile(r"SRL16E|SRLC16E|SRLC32E")
LUT_MEMORY = re.compile(r"RAM(32|64|128|256|512)[XM]\w+")
BLOCK_MEMORY = re.compile(r"RAMB(18|36)E2|URAM288\w*")
MULTIPLIER = re.compile(r"DSP48E2")
PORT = re.compile(r"PORT")
CHAIN = 8  # bits of a CARRY8

# Inputs of memories in LUTs that only a write reads; other addresses reach an output directly.
WRITE_ONLY = re.compile(r"D|DI[A-H]?|WE|WADR\d?|CE")


def is_output(pin: str) -> bool:
    """Whether a pin of that name, without its index, is an output."""
    return OUTPUT.fullmatch(pin) is not None


def is_clock(pin: str) -> bool:
    """Whether a pin of that name, without its index, is a clock."""
    return CLOCK.fullmatch(pin) is not None


def is_clocked(kind: str) -> bool:
    """Whether paths begin and end at the cells of this kind."""
    return any(
        pattern.fullmatch(kind)
        for pattern in (FLIP_FLOP, SHIFT_REGISTER, LUT_MEMORY, BLOCK_MEMORY, MULTIPLIER, PORT)
    )


def depends(table: int, inputs: int, place: int) -> bool:
    """Whether a truth table over ``inputs`` bits depends on the bit at ``place``."""
    size, step = 1 << inputs, 1 << place
    # Entries whose bit is 0, against those that differ from them in this bit alone.
    low = sum(((1 << step) - 1) << start for start in range(0, size, 2 * step))
    return (table & low) != (table >> step & low)
