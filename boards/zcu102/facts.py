"""What is true of the ZCU102 and its processing system, each fact with where it stands.

``PRESET`` is the board file that AMD publishes, XilinxBoardStore, boards/Xilinx/zcu102/3.4: it is
what Vivado's ``apply_board_preset`` applies.

Not confirmed in a document at hand, and so from public block designs for Zynq UltraScale+ only: the
range of M_AXI_HPM0_FPD and the addresses of DDR (UG1085's table was not readable), which of the
interrupt numbers belongs to which bit, the ports of proc_sys_reset (PG164), the names of address
segments and the name clk_pl_0. UG1182 was not readable either. Nothing of this has run in Vivado.
"""

from dataclasses import dataclass

PRESET_SOURCE = "XilinxBoardStore, boards/Xilinx/zcu102/3.4/preset.xml"
DESIGNS = "public block designs for Zynq UltraScale+"


@dataclass(frozen=True)
class Fact:
    """A value, and the document that it is from."""

    value: object
    source: str


@dataclass(frozen=True)
class Range:
    """Addresses from ``base`` on."""

    base: int
    bytes: int

    @property
    def end(self) -> int:
        return self.base + self.bytes


FACTS = {
    "part": Fact("xczu9eg-ffvb1156-2-e", "XilinxBoardStore, zcu102/3.4/board.xml: part_name"),
    "board_part": Fact("*:zcu102:part0:*", "XilinxBoardStore, boards/Xilinx/zcu102"),
    # What M_AXI_HPM0_FPD decodes of the 32-bit addresses.
    "registers_window": Fact(Range(0xA000_0000, 0x1000_0000), DESIGNS),
    # 4 GB: eight chips of 4096 Mbit; the first half at 0, the second at 32 GB.
    "ddr_low": Fact(Range(0x0, 0x8000_0000), f"{PRESET_SOURCE}: 64 Bit of 8 Bits, 4096 MBits"),
    "ddr_high": Fact(Range(0x8_0000_0000, 0x8000_0000), f"{DESIGNS}: SAXIGP2/HP0_DDR_HIGH"),
    "hp_ports": Fact(4, "PG201: S_AXI_HP0_FPD to S_AXI_HP3_FPD, in parameters S_AXI_GP2 to GP5"),
    "hp_widths": Fact((32, 64, 128), "PG201 3.5 and UG1085 2.4: 32, 64 or 128 bits"),
    # GIC numbers of pl_ps_irq0[0] to [7].
    "interrupts": Fact(tuple(range(121, 129)), "PG201 3.4, Table: Interrupt Map"),
    "reference_mhz": Fact(33.33, f"{PRESET_SOURCE}: PSU__PSS_REF_CLK__FREQMHZ"),
    # IOPLL_CTRL__FBDIV 45 with DIV2 0: 1499.85 MHz, which tools call 1500.
    "iopll_multiplier": Fact(45, "public ZCU102 block designs, Vivado 2023.2"),
    "iopll_mhz": Fact(1500, "the same: PL0 of 100 MHz is divisor 15"),
    "most_mhz": Fact(775, "DS925, Clock Buffers and Networks: BUFG at -2, 0.85 V"),
    "pl_clock_divisors": Fact(63, "UG1087, PL0_REF_CTRL: DIVISOR0 and DIVISOR1 of 6 bits each"),
}

PRESET = {  # of PRESET_SOURCE, what a project here depends on
    "PSU__PRESET_APPLIED": "1",
    "PSU__FPGA_PL0_ENABLE": "1",
    "PSU__CRL_APB__PL0_REF_CTRL__SRCSEL": "IOPLL",
    "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": "100",
    "PSU__USE__IRQ0": "1",
    "PSU__USE__M_AXI_GP0": "1",
    "PSU__USE__M_AXI_GP1": "1",
    "PSU__USE__M_AXI_GP2": "0",
}


def fact(name: str):
    """The value of a fact."""
    return FACTS[name].value


def divisor(clock_mhz: float) -> int | None:
    """What divides the I/O PLL to ``clock_mhz``; None if two whole numbers in turn do not."""
    number = round(fact("iopll_mhz") / clock_mhz) if clock_mhz > 0 else 0
    exact = number in divisors() and abs(fact("iopll_mhz") / number / clock_mhz - 1) < 1e-5
    return number if exact else None


def near_clocks(clock_mhz: float) -> list[float]:
    """The nearest below and above that the PLL gives, in MHz."""
    clocks = [fact("iopll_mhz") / number for number in divisors()]
    below = [mhz for mhz in clocks if mhz < clock_mhz]
    above = [mhz for mhz in clocks if clock_mhz < mhz <= fact("most_mhz")]
    return [*sorted(below)[-1:], *sorted(above)[:1]]


def divisors() -> set[int]:
    """Products of the two divisors of PL0's clock."""
    each = range(1, fact("pl_clock_divisors") + 1)
    return {one * other for one in each for other in each}
