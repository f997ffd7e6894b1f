"""The ZCU102: an XCZU9EG with 4 GB of DDR4.

``PRESET`` is the board file that AMD publishes, XilinxBoardStore, boards/Xilinx/zcu102/3.4: it is
what Vivado's ``apply_board_preset`` applies. UG1182 was not readable; ``boards.zynqmp.facts`` says
what of the family is unconfirmed.
"""

from boards.zynqmp.board import ZynqMp
from boards.zynqmp.devices import XCZU9EG
from boards.zynqmp.facts import COMMON_PRESET, GIB, MOST_MHZ, Fact, Facts

STORE = "XilinxBoardStore, boards/Xilinx/zcu102/3.4"
PRESET = f"{STORE}/preset.xml"

BOARD = ZynqMp(
    Facts(
        name="zcu102",
        title="ZCU102",
        config="zcu102",
        clock_mhz=250,
        device=XCZU9EG,
        part=Fact("xczu9eg-ffvb1156-2-e", f"{STORE}/board.xml: part_name"),
        board_part=Fact("*:zcu102:part0:*", STORE),
        installed=Fact("xilinx.com:zcu102:part0:3.4", f"{STORE}/board.xml: file_version"),
        # Eight chips of 4096 Mbit.
        ddr_bytes=Fact(4 * GIB, f"{PRESET}: 64 Bit of 8 Bits, 4096 MBits"),
        reference_mhz=Fact(33.33, f"{PRESET}: PSU__PSS_REF_CLK__FREQMHZ"),
        # IOPLL_CTRL__FBDIV 45 with DIV2 0: 1499.85 MHz, which tools call 1500.
        iopll_multiplier=Fact(45, "public ZCU102 block designs, Vivado 2023.2"),
        iopll_mhz=Fact(1500, "the same: PL0 of 100 MHz is divisor 15"),
        most_mhz=MOST_MHZ[0.85],
        pcie=Fact(True, f"{PRESET}: PSU__PCIE__PERIPHERAL__ENABLE"),
        preset=Fact(COMMON_PRESET, PRESET),
    )
)
