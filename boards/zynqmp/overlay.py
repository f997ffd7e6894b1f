"""The device-tree overlay of a build: how Linux finds the cores on a board that has booted already.

A bitstream that is loaded at run time meets a processing system that a generic boot image has set
up: the widths of its ports and the rate of its clock have to be set with it.
"""

from boards.zynqmp.clock import divisor
from boards.zynqmp.facts import (
    AFI_WIDTHS,
    HPM_WIDTHS,
    INTERRUPTS,
    PL_CLOCK,
    PL_RESET,
    SHARED_INTERRUPTS,
    Facts,
)
from hw.spec.config import SvpeConfig
from hw.spec.registers import WINDOW_BYTES

FIRST_HP = 2  # of the AXI FIFO interfaces: HP0 is S_AXI_GP2
HPM_REGISTER = 14
# Of one u-dma-buf for all cores: a quarter of the 256 MB that the kernel of PetaLinux keeps for it.
MEMORY_BYTES = 64 << 20

HEAD = """\
// {cores} x {config} on a {title}: dtc -@ -O dtb -o qnn.dtbo qnn.dtso
// Not run on a board. The kernel needs uio_pdrv_genirq.of_id=generic-uio and the module u-dma-buf.
/dts-v1/;
/plugin/;

&fpga_full {{
    firmware-name = "qnn.bit.bin";
    resets = <&zynqmp_reset {reset}>;
}};

&amba {{
    #address-cells = <2>;
    #size-cells = <2>;

    qnn_afi: qnn-afi {{
        compatible = "xlnx,afi-fpga";
        config-afi = {widths};
    }};

    qnn_clock: qnn-clock {{
        compatible = "xlnx,fclk";
        #clock-cells = <0>;
        clocks = <&zynqmp_clk {clock}>;
        assigned-clocks = <&zynqmp_clk {clock}>;
        assigned-clock-rates = <{hertz}>;
        clock-output-names = "fabric_clk";
    }};
"""
CORE = """\

    qnn_core_{core}: qnn@{base:x} {{
        compatible = "generic-uio";
        linux,uio-name = "qnn-core-{core}";
        reg = <0x0 {base:#x} 0x0 {bytes:#x}>;
        interrupt-parent = <&gic>;
        interrupts = <0 {interrupt} 4>;
    }};
"""
TAIL = """\

    qnn_memory: qnn-memory {{
        compatible = "ikwzm,u-dma-buf";
        device-name = "udmabuf0";
        size = <{size:#x}>;
    }};
}};
"""


def overlay(facts: Facts, config: SvpeConfig, bases: tuple[int, ...], clock_mhz: float) -> str:
    """The text of ``qnn.dtso`` for cores whose registers lie at ``bases``."""
    cores = len(bases)
    width = AFI_WIDTHS.value[config.bus_bits]
    # A register for reads and one for writes of each port.
    first, stop = 2 * FIRST_HP, 2 * (FIRST_HP + cores)
    widths = [*((number, width) for number in range(first, stop)), (HPM_REGISTER, HPM_WIDTHS.value)]
    hertz = facts.reference_mhz.value * facts.iopll_multiplier.value / divisor(facts, clock_mhz)
    head = HEAD.format(
        cores=cores,
        config=config,
        title=facts.title,
        reset=PL_RESET.value,
        widths=", ".join(f"<{number} {value:#x}>" for number, value in widths),
        clock=PL_CLOCK.value,
        hertz=round(hertz * 1e6),
    )
    nodes = (
        CORE.format(
            core=core,
            base=base,
            bytes=WINDOW_BYTES,
            interrupt=INTERRUPTS.value[core] - SHARED_INTERRUPTS,
        )
        for core, base in enumerate(bases)
    )
    return head + "".join(nodes) + TAIL.format(size=MEMORY_BYTES)
