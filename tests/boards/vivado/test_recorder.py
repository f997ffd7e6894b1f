"""The recorder refuses what Vivado would, command by command, and the rules see what is wrong."""

import pytest

from boards.tcl import RefusedError, Script
from boards.vivado import rules
from boards.vivado.block_design import BlockDesign
from boards.vivado.design import RecordedDesign, Segment
from boards.vivado.folder import Folder
from boards.vivado.ports import modules, ports
from boards.vivado.project import Project
from boards.vivado.recorder import Recorder
from boards.zynqmp.processing_system import BLOCK, VLNV
from tests.boards.builds import sources


class Bench:
    """A recorder for a project with one block design, and what it has recorded."""

    def __init__(self):
        texts = {name: content.decode() for name, content in sources().items()}
        self.design, self.folder = RecordedDesign(), Folder({**texts, "vivado/a.tcl": "set x 1"})
        project = Project(self.design, self.folder, "xilinx.com:zcu102:part0:3.4")
        self.block_design = BlockDesign(
            self.design, self.folder, {VLNV: BLOCK}, (VLNV, {"PSU__USE__IRQ0": "1"}), ("DDR_LOW",)
        )
        self._record = Recorder(self.folder, project, self.block_design)

    def __call__(self, command):
        return self._record(command.split())


@pytest.fixture
def bench():
    bench = Bench()
    bench("create_project -part x qnn /vivado/project")
    bench("create_bd_design system")
    return bench


@pytest.fixture
def blocks(bench):
    """Two reset blocks, a SmartConnect and the processing system with a clock."""
    for name, kind in (("one", "proc_sys_reset"), ("two", "proc_sys_reset")):
        bench(f"create_bd_cell -vlnv xilinx.com:ip:{kind}:5.0 {name}")
    bench("create_bd_cell -vlnv xilinx.com:ip:smartconnect switch")
    bench("create_bd_cell -vlnv xilinx.com:ip:zynq_ultra_ps_e ps")
    bench("set_property CONFIG.PSU__FPGA_PL0_ENABLE 1 ps")
    return bench


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("create_bd_cell one", "create_bd_cell: there is a cell 'one' already"),
        (
            "create_bd_cell -type module -reference qnn_core core",
            "create_bd_cell: no Verilog source has a module 'qnn_core'",
        ),
        ("create_bd_cell -type hier x", "create_bd_cell: -type is ip or module here, not 'hier'"),
        ("create_bd_cell -vlnv", "create_bd_cell -vlnv needs a value"),
        ("create_bd_cell", "create_bd_cell takes 1 to 1 objects, not 0"),
        (
            "connect_bd_net one/mb_reset two/mb_reset",
            "connect_bd_net: one/mb_reset and two/mb_reset drive one net",
        ),
        (
            "connect_bd_intf_net switch/S00_AXI switch/S01_AXI",
            "connect_bd_intf_net: needs a master and a slave, not switch/S00_AXI and "
            "switch/S01_AXI",
        ),
        ("get_bd_cells three", "no cell 'three'; there is one, ps, switch, two"),
        ("get_bd_addr_spaces ps/Data", "no address space 'ps/Data'; there is none"),
        ("assign_bd_address", "assign_bd_address: needs -target_address_space, -offset and -range"),
        ("set_property CONFIG.NUM_MI", "set_property takes names with values, and one object"),
        (
            "set_property CONFIG.NUM_MI many switch",
            "set_property: 'CONFIG.NUM_MI' is a small number, not 'many'",
        ),
        (
            "set_property CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ 0 ps",
            "set_property: 'CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ' is a small number, not '0'",
        ),
        ("set_property NAME x qnn", "'qnn' has no property 'NAME' here"),
        (
            "add_files -fileset sim_1 /rtl/qnn_pe.v",
            "no fileset 'sim_1'; there is constrs_1, sources_1",
        ),
        ("get_files other.bd", "get_files: the project has no 'other.bd'"),
        ("make_wrapper -top", "make_wrapper: the project has no block design ''"),
        ("wait_on_runs synth_1", "wait_on_runs: synth_1 has not been launched"),
        ("open_run impl_1", "open_run: impl_1 has not run to its end"),
        ("report_utilization", "report_utilization: no run is open; open_run first"),
        ("write_hw_platform x.xsa", "write_hw_platform: impl_1 has not run to its end"),
        ("get_clocks clk_pl_0", "no clock 'clk_pl_0'; there is none"),
        ("file delete x", "'file delete' of 1 names is not known here"),
        ("file dirname", "file takes 2 or more words, not 1"),
        ("file copy a b", 'error copying "a": no such file or directory'),
        ("file copy -forc a b", "'file copy' of 3 names is not known here"),
        ("glob *.none", 'no files matched glob pattern "*.none"'),
        ("source b.tcl", 'couldn\'t read file "b.tcl": no such file or directory'),
    ],
)
def test_a_command_is_refused(blocks, command, reason):
    with pytest.raises(RefusedError) as error:
        blocks(command)
    assert str(error.value) == reason


def test_a_bus_has_two_ends(blocks):
    blocks("create_bd_cell -vlnv xilinx.com:ip:smartconnect other")
    blocks("connect_bd_intf_net switch/M00_AXI other/S00_AXI")
    with pytest.raises(RefusedError, match=r"^connect_bd_intf_net: switch/M00_AXI is connected "):
        blocks("connect_bd_intf_net switch/M00_AXI other/S01_AXI")


def test_what_vivado_would_answer_with_nothing_is_nothing_where_it_is_quiet(blocks):
    assert blocks("get_bd_cells -quiet three") == ""
    assert blocks("get_bd_cells -quiet one") == "one"


def test_files_are_those_of_the_build(bench):
    assert bench("file normalize vivado/../rtl") == "/rtl"
    assert bench("file dirname /vivado/a.tcl") == "/vivado"
    assert bench("source /vivado/a.tcl") == Script("/vivado/a.tcl", "set x 1")
    assert bench("glob /rtl/*.v") == "/rtl/qnn_accelerator.v /rtl/qnn_pe.v"
    assert bench("glob -nocomplain /rtl/*.vhd") == ""


def test_ends_of_a_bus_at_two_clocks_are_found(blocks):
    blocks("create_bd_cell -vlnv xilinx.com:ip:smartconnect other")
    blocks("connect_bd_intf_net switch/M00_AXI other/S00_AXI")
    blocks("connect_bd_net ps/pl_clk0 switch/aclk")
    blocks("connect_bd_net one/mb_reset other/aclk")
    assert list(rules.clocks(blocks.design)) == [
        "switch/M00_AXI runs at ps/pl_clk0, but other/S00_AXI at one/mb_reset"
    ]


def test_a_loop_of_switches_reaches_nothing(blocks):
    blocks("connect_bd_intf_net switch/M00_AXI switch/S00_AXI")
    assert blocks.design.reached("switch/M00_AXI") == []


def test_what_is_connected_cannot_be_taken_away(blocks):
    blocks("connect_bd_net ps/pl_clk0 switch/aclk")
    with pytest.raises(RefusedError) as error:
        blocks("set_property CONFIG.PSU__FPGA_PL0_ENABLE 0 ps")
    assert str(error.value) == ("set_property: CONFIG.PSU__FPGA_PL0_ENABLE 0 takes away ps/pl_clk0")


@pytest.fixture
def memory(blocks):
    """A port of the processing system's memory, which no bus leads to."""
    blocks("set_property CONFIG.PSU__USE__S_AXI_GP2 1 ps")
    return blocks


def lines(bench, base, size):
    """What is wrong with one address of a space without masters."""
    segment = Segment("space", "ps/SAXIGP2/HP0_DDR_LOW", base, size)
    bench.design.segments = [segment]
    return list(rules.addresses(bench.design, {"space": []}, bench.block_design.slaves(), ()))


def test_an_address_where_no_bus_leads_is_found(memory):
    assert lines(memory, 0, 4096) == [
        "space has an address for ps/SAXIGP2/HP0_DDR_LOW, but no bus leads there"
    ]


@pytest.mark.parametrize("size", [2048, 12288])
def test_a_range_is_a_power_of_two(memory, size):
    assert lines(memory, 0, size)[0] == (
        f"ps/SAXIGP2/HP0_DDR_LOW at 0x0 to {size - 1:#x} has {size} bytes; a range is a power of "
        f"two from 4096 on"
    )


def test_ports_of_a_module_are_read_with_their_widths():
    text = sources()["rtl/qnn_accelerator.v"].decode()
    assert modules(text) == ["qnn_accelerator"]
    found = {port.name: port for port in ports(text, "qnn_accelerator")}
    assert (found["m_axi_awaddr"].direction, found["m_axi_awaddr"].width) == ("output", 40)
    assert found["rst"].parameters["POLARITY"] == "ACTIVE_HIGH"
    with pytest.raises(ValueError, match=r"^no module 'other' in this Verilog; it has qnn_acc"):
        ports(text, "other")
