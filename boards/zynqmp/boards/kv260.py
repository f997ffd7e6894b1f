"""The KV260: a Kria K26 module, that is an XCK26 with 4 GB of DDR4.

``PRESET`` is the board file of the module that AMD publishes, XilinxBoardStore,
boards/Xilinx/kv260_som/1.4. No pin of the carrier card is used, so that its own board file is not
needed. ``boards.zynqmp.facts`` says what of the family is unconfirmed; here, that is also

- that 2LV in the part's name means 0.72 V, as DS925 has no column of that name;
- the multiplier of the I/O PLL, which is from public block designs of Kria modules.
"""

from boards.zynqmp.board import ZynqMp
from boards.zynqmp.devices import XCK26
from boards.zynqmp.facts import COMMON_PRESET, GIB, MOST_MHZ, Fact, Facts

STORE = "XilinxBoardStore, boards/Xilinx/kv260_som/1.4"
PRESET = f"{STORE}/preset_s4.xml"

BOARD = ZynqMp(
    Facts(
        name="kv260",
        title="KV260",
        config="reference",
        # With 2,048 words of weights, one core takes 264 of the 259 usable half block RAMs.
        sizes={"weight_words": 1024},
        # DS925's DSP blocks reach 644 MHz at 0.72 V and 775 at 0.85 V: 0.83 of the 250 MHz that
        # boards of 0.85 V have by default is 208, and the PLL's next below it is 187.5.
        clock_mhz=187.5,
        device=XCK26,
        part=Fact("xck26-sfvc784-2LV-c", f"{STORE}/board.xml: part_name"),
        board_part=Fact("*:kv260_som:part0:*", STORE),
        installed=Fact("xilinx.com:kv260_som:part0:1.4", f"{STORE}/board.xml: file_version"),
        # Four chips of 8192 Mbit; DS987 1.1 says 4 GB, 64 bits wide.
        ddr_bytes=Fact(4 * GIB, f"{PRESET}: 64 Bit of 16 Bits, 8192 MBits"),
        reference_mhz=Fact(33.333, f"{PRESET}: PSU__PSS_REF_CLK__FREQMHZ"),
        iopll_multiplier=Fact(45, "public Kria block designs: 99.999001 MHz is divisor 15"),
        iopll_mhz=Fact(1500, "the same: PL0 of 100 MHz is divisor 15"),
        most_mhz=MOST_MHZ[0.72],
        pcie=Fact(False, f"{PRESET} has no PSU__PCIE__PERIPHERAL__ENABLE"),
        preset=Fact(COMMON_PRESET, PRESET),
    )
)
