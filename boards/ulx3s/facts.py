"""Facts of the ULX3S with an ECP5-85: part, pins and clock, each with its source.

Sources
-------
Constraints : https://github.com/emard/ulx3s, ``doc/constraints/ulx3s_v20.lpf`` at commit
    0376883a317ff5f5b7838ba2330281a72a03f928, for boards v2.x and v3.0.x.
Example : the same repository, ``examples/blinky/OpenSource/blinky.v``.
Part : https://github.com/amaranth-lang/amaranth-boards, ``amaranth_boards/ulx3s.py``:
    LFE5U-85F in package BG381, speed grade 6.
Blocks : nextpnr's own database of the chip, which its reports print as available.
"""

from dataclasses import dataclass

PART = ("--85k", "--package", "CABGA381", "--speed", "6")  # Part, in nextpnr's words
CLOCK_HZ = 25_000_000  # Constraints, "clk_25mhz"
BLOCK_RAMS = 208  # Blocks, DP16KD
BLOCK_RAM_BITS = 18 * 1024
CLOCK = "clk_25mhz"
RECEIVES, SENDS = "ftdi_txd", "ftdi_rxd"  # Constraints: named from the FTDI chip's side
TOP = "qnn_ulx3s"


@dataclass(frozen=True)
class Pin:
    """A port's bit, the ball that it is on, and the buffer's settings."""

    port: str
    site: str
    settings: str


PINS = (  # Constraints, line by line
    Pin("clk_25mhz", "G2", "PULLMODE=NONE"),
    Pin("ftdi_rxd", "L4", "PULLMODE=UP DRIVE=4"),  # "FPGA transmits to ftdi"
    Pin("ftdi_txd", "M1", "PULLMODE=UP"),  # "FPGA receives from ftdi"
    Pin("led[0]", "B2", "PULLMODE=NONE DRIVE=4"),
    Pin("led[1]", "C2", "PULLMODE=NONE DRIVE=4"),
    Pin("led[2]", "C1", "PULLMODE=NONE DRIVE=4"),
    Pin("led[3]", "D2", "PULLMODE=NONE DRIVE=4"),
    Pin("led[4]", "D1", "PULLMODE=NONE DRIVE=4"),
    Pin("led[5]", "E2", "PULLMODE=NONE DRIVE=4"),
    Pin("led[6]", "E1", "PULLMODE=NONE DRIVE=4"),
    Pin("led[7]", "H3", "PULLMODE=NONE DRIVE=4"),
    Pin("btn_fire1", "R1", "PULLMODE=DOWN"),  # "btn[1]", "FIRE1"
    Pin(
        "wifi_gpio0", "L2", "PULLMODE=NONE DRIVE=4"
    ),  # Example: "Tie GPIO0, keep board from rebooting"
)


def constraints(pins: tuple[Pin, ...] = PINS) -> str:
    """The ``.lpf`` file of the board's design."""
    lines = ["# Pins of emard/ulx3s, doc/constraints/ulx3s_v20.lpf; written by qnn"]
    lines += ["BLOCK RESETPATHS ;", "BLOCK ASYNCPATHS ;"]
    for pin in pins:
        lines.append(f'LOCATE COMP "{pin.port}" SITE "{pin.site}" ;')
        lines.append(f'IOBUF PORT "{pin.port}" IO_TYPE=LVCMOS33 {pin.settings} ;')
    lines.append(f'FREQUENCY PORT "{CLOCK}" {CLOCK_HZ / 1e6:.6f} MHz ;')
    return "\n".join(lines) + "\n"
