"""The ULX3S with an ECP5-85: an open board, with each of its facts from one of these sources.

Sources
-------
Constraints : https://github.com/emard/ulx3s, ``doc/constraints/ulx3s_v20.lpf`` at commit
    0376883a317ff5f5b7838ba2330281a72a03f928, for boards v2.x and v3.0.x.
Example : the same repository, ``examples/blinky/OpenSource/blinky.v``.
Part : https://github.com/amaranth-lang/amaranth-boards, ``amaranth_boards/ulx3s.py``:
    LFE5U-85F in package BG381, speed grade 6.
"""

from boards.ecp5.board import Ecp5
from boards.ecp5.devices import LFE5U_85F
from boards.ecp5.facts import Ecp5Facts, Pin

# Sites and settings are copied line by line; comments quote the words of their source.
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

BOARD = Ecp5(
    Ecp5Facts(
        name="ulx3s",
        title="ULX3S",
        config="test",
        chip="ECP5-85",
        device=LFE5U_85F,
        part=("--85k", "--package", "CABGA381", "--speed", "6"),  # Part
        clock="clk_25mhz",
        clock_hz=25_000_000,  # Constraints, "clk_25mhz"
        receives="ftdi_txd",  # Constraints: named from the FTDI chip's side, which sends on txd
        sends="ftdi_rxd",
        button="btn_fire1",
        button_label="FIRE 1",
        leds="led",
        high=("wifi_gpio0",),  # Example: it keeps the board from rebooting
        pins=PINS,
        pins_source="emard/ulx3s, doc/constraints/ulx3s_v20.lpf",
        connector="US1",
        loader="ulx3s",
        origin="Pins and clock are those of https://github.com/emard/ulx3s, "
        "doc/constraints/ulx3s_v20.lpf (boards\nv2.x and v3.0.x); openFPGALoader's call is that of "
        "its doc/MANUAL.md.",
    )
)
