"""The ZCU104: an XCZU7EV with 2 GB of DDR4, all of it at the low addresses.

``PRESET`` is the board file that AMD publishes, XilinxBoardStore, boards/Xilinx/zcu104/1.1. UG1267
was not readable; ``boards.zynqmp.facts`` says what of the family is unconfirmed.
"""

from boards.zynqmp.board import ZynqMp
from boards.zynqmp.devices import XCZU7EV
from boards.zynqmp.facts import COMMON_PRESET, GIB, MOST_MHZ, Fact, Facts

STORE = "XilinxBoardStore, boards/Xilinx/zcu104/1.1"
PRESET = f"{STORE}/preset.xml"

BOARD = ZynqMp(
    Facts(
        name="zcu104",
        title="ZCU104",
        config="reference",
        clock_mhz=250,
        device=XCZU7EV,
        part=Fact("xczu7ev-ffvc1156-2-e", f"{STORE}/board.xml: part_name"),
        board_part=Fact("*:zcu104:part0:*", STORE),
        installed=Fact("xilinx.com:zcu104:part0:1.1", f"{STORE}/board.xml: file_version"),
        # Four chips of 4096 Mbit. Public ZCU104 block designs have PSU__HIGH_ADDRESS__ENABLE 0.
        ddr_bytes=Fact(2 * GIB, f"{PRESET}: 64 Bit of 16 Bits, 4096 MBits"),
        reference_mhz=Fact(33.333333, f"{PRESET}: PSU__PSS_REF_CLK__FREQMHZ"),
        iopll_multiplier=Fact(45, "a public ZCU104 block design: 100.000000 MHz is divisor 15"),
        iopll_mhz=Fact(1500, "the same: PL0 of 100 MHz is divisor 15"),
        most_mhz=MOST_MHZ[0.85],
        pcie=Fact(False, f"{PRESET} has no PSU__PCIE__PERIPHERAL__ENABLE"),
        preset=Fact(COMMON_PRESET, PRESET),
    )
)
