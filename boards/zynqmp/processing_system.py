"""The Zynq UltraScale+ processing system as a block: those of its ports that a project here uses.

Source: PG201, and for the names of pins and address segments public block designs for this device.
"""

from collections.abc import Mapping

from boards.vivado.blocks import Block, BlockPin, Bus, Shape
from boards.zynqmp.facts import HP_PORTS, Facts

VLNV = "xilinx.com:ip:zynq_ultra_ps_e"
MASTERS = ("HPM0_FPD", "HPM1_FPD", "HPM0_LPD")  # of M_AXI_GP0 to GP2
HP_PARAMETER = 2  # HP0 is S_AXI_GP2

PARAMETERS = {
    "PSU__PRESET_APPLIED": "0",
    "PSU__FPGA_PL0_ENABLE": "0",
    # Defaults of the IP, which the board's preset and the project change.
    "PSU__CRL_APB__PL0_REF_CTRL__SRCSEL": "RPLL",
    "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": "100",
    "PSU__HIGH_ADDRESS__ENABLE": "0",
    "PSU__USE__IRQ0": "0",
    **{f"PSU__USE__M_AXI_GP{n}": "0" for n in range(len(MASTERS))},
    **{f"PSU__MAXIGP{n}__DATA_WIDTH": "128" for n in range(len(MASTERS))},
    **{f"PSU__USE__S_AXI_GP{n + HP_PARAMETER}": "0" for n in range(HP_PORTS.value)},
    **{f"PSU__SAXIGP{n + HP_PARAMETER}__DATA_WIDTH": "128" for n in range(HP_PORTS.value)},
}


def _shape(values: Mapping[str, str]) -> Shape:
    pins, buses = {}, {}
    if values["PSU__FPGA_PL0_ENABLE"] == "1":
        pins["pl_clk0"] = BlockPin("clock", True)
        pins["pl_resetn0"] = BlockPin("reset", True, active_low=True)
    if values["PSU__USE__IRQ0"] == "1":
        pins["pl_ps_irq0"] = BlockPin("interrupt")
    for number, name in enumerate(MASTERS):
        if values[f"PSU__USE__M_AXI_GP{number}"] == "1":
            # Each port runs at a clock of its own, which the design has to connect.
            clock = f"maxi{name.lower()}_aclk"
            pins[clock] = BlockPin("clock", needed=True)
            buses[f"M_AXI_{name}"] = Bus(True, clock)
    for port in range(HP_PORTS.value):
        if values[f"PSU__USE__S_AXI_GP{port + HP_PARAMETER}"] == "1":
            clock = f"saxihp{port}_fpd_aclk"
            pins[clock] = BlockPin("clock", needed=True)
            segment = f"SAXIGP{port + HP_PARAMETER}/HP{port}"
            buses[f"S_AXI_HP{port}_FPD"] = Bus(False, clock, segment=segment)
    return Shape(pins, buses)


BLOCK = Block(PARAMETERS, _shape)


def memory_segments(facts: Facts) -> tuple[str, ...]:
    """What lies behind a HP port of the board: ends of the names of its address segments."""
    memory = (f"DDR_{window.upper()}" for window in facts.memory)
    pcie = ("PCIE_LOW", "PCIE_HIGH1", "PCIE_HIGH2") if facts.pcie.value else ()
    return (*memory, "LPS_OCM", "QSPI", *pcie)
