"""What a Zynq UltraScale+ board is, each fact with its source, and what all such boards share.

Not confirmed in a document at hand, and so from public block designs for Zynq UltraScale+ only: the
range of M_AXI_HPM0_FPD and the addresses of DDR (UG1085's table was not readable), which of the
interrupt numbers belongs to which bit, the ports of proc_sys_reset (PG164), the names of address
segments and the name clk_pl_0. Nothing of this has run in Vivado.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hw.spec.resources import Device

DESIGNS = "public block designs for Zynq UltraScale+"
T = TypeVar("T")


@dataclass(frozen=True)
class Fact(Generic[T]):
    """A value, and the document that it is from."""

    value: T
    source: str


@dataclass(frozen=True)
class Range:
    """Addresses from ``base`` on."""

    base: int
    bytes: int

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.base + self.bytes


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The facts of one Zynq UltraScale+ board.

    Members
    -------
    name, title : as ``--board`` takes it, and as its maker writes it
    config, sizes, clock_mhz : our choice of a configuration that fits it, and of a clock
    device : the chip and its cells; ``device.source`` is where they stand
    part, board_part : as Vivado calls the chip, and a pattern of how it calls the board
    installed : a board file that the pattern finds
    ddr_bytes : of the processing system's memory
    reference_mhz, iopll_multiplier, iopll_mhz : the I/O PLL, and what tools take its rate for
    most_mhz : of a clock tree
    pcie : whether the board's preset uses PCI Express, which has address segments of its own
    preset : what the board file sets of the processing system, as far as a project depends on it
    """

    name: str
    title: str
    config: str
    clock_mhz: float
    device: Device
    part: Fact[str]
    board_part: Fact[str]
    installed: Fact[str]
    ddr_bytes: Fact[int]
    reference_mhz: Fact[float]
    iopll_multiplier: Fact[int]
    iopll_mhz: Fact[int]
    most_mhz: Fact[int]
    pcie: Fact[bool]
    preset: Fact[Mapping[str, str]]
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def memory(self) -> dict[str, Range]:
        """Where the memory lies: ``low``, and ``high`` of a board with more than 2 GB."""
        # Memory beyond 2 GB lies in a window of its own.
        low = min(self.ddr_bytes.value, DDR_LOW.value.bytes)
        windows = {"low": Range(DDR_LOW.value.base, low)}
        if self.ddr_bytes.value > low:
            windows["high"] = Range(DDR_HIGH.value.base, self.ddr_bytes.value - low)
        return windows


GIB = 1 << 30

# What M_AXI_HPM0_FPD decodes of the 32-bit addresses.
REGISTERS_WINDOW = Fact(Range(0xA000_0000, 0x1000_0000), DESIGNS)
# The first 2 GB of memory lie at 0, what is beyond them at 32 GB; that window has 32 GB.
DDR_LOW = Fact(Range(0x0, 2 * GIB), f"{DESIGNS}: DDR_LOW;0;7FFFFFFF")
DDR_HIGH = Fact(Range(0x8_0000_0000, 32 * GIB), f"{DESIGNS}: SAXIGP2/HP0_DDR_HIGH")
HP_PORTS = Fact(4, "PG201: S_AXI_HP0_FPD to S_AXI_HP3_FPD, in parameters S_AXI_GP2 to GP5")
HP_WIDTHS = Fact((32, 64, 128), "PG201 3.5 and UG1085 2.4: 32, 64 or 128 bits")
# GIC numbers of pl_ps_irq0[0] to [7].
INTERRUPTS = Fact(tuple(range(121, 129)), "PG201 3.4, Table: Interrupt Map")
SHARED_INTERRUPTS = 32  # of the GIC, from which device trees count those of peripherals
# What a device tree says of the ports' widths to the kernel, which writes it to the AXI FIFO
# interfaces: of registers 2n and 2n + 1 for port n, by bits, and of register 14 for both HPM ports,
# 128 bits each, which is what they are after a reset and in what generic boot images leave behind.
AFI_BINDING = "Linux, Documentation/devicetree/bindings/fpga/xlnx,afi-fpga (linux-fpga list)"
AFI_WIDTHS = Fact({128: 0, 64: 1, 32: 2}, AFI_BINDING)
HPM_WIDTHS = Fact(0xA00, f"{AFI_BINDING}; public overlays for boards of this family")
HPM_BITS = 128
PL_CLOCK = Fact(71, "Linux, dt-bindings/clock/xlnx-zynqmp-clk.h: PL0_REF")
PL_RESET = Fact(116, "Linux, dt-bindings/reset/xlnx-zynqmp-resets.h: ZYNQMP_RESET_PS_PL0")
PL_CLOCK_DIVISORS = Fact(63, "UG1087, PL0_REF_CTRL: DIVISOR0 and DIVISOR1 of 6 bits each")
# In DS925, Clock Buffers and Networks: FMAX of BUFG at speed grade -2, by VCCINT in volts.
MOST_MHZ = {
    0.85: Fact(775, "DS925, Clock Buffers and Networks: BUFG at -2, 0.85 V"),
    0.72: Fact(725, "DS925, Clock Buffers and Networks: BUFG at -2, 0.72 V"),
}
# What the published presets of all boards here set, of that which a project depends on.
COMMON_PRESET = {
    "PSU__PRESET_APPLIED": "1",
    "PSU__FPGA_PL0_ENABLE": "1",
    "PSU__CRL_APB__PL0_REF_CTRL__SRCSEL": "IOPLL",
    "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": "100",
    "PSU__USE__IRQ0": "1",
    "PSU__USE__M_AXI_GP0": "1",
    "PSU__USE__M_AXI_GP1": "1",
    "PSU__USE__M_AXI_GP2": "0",
}
