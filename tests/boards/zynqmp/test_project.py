"""The Vivado project runs to its end against the recorder, and every planted fault is found."""

import re

import pytest

from boards import every, family, named, tcl
from boards.vivado.project import RESULTS, Project
from hw.spec.config import CONFIGS
from tests.boards.builds import sources

pytestmark = pytest.mark.skipif(
    tcl.version() is None, reason="neither tclsh nor Python's tkinter is installed"
)
CONFIG = CONFIGS["test"]
BOARDS = [board for board in every() if family(board) == "zynqmp"]
PROJECT, BUILD, SETTINGS = (f"vivado/{name}.tcl" for name in ("project", "build", "settings"))


@pytest.fixture(params=BOARDS, ids=lambda board: board.name)
def board(request):
    return request.param


def build(board, cores=2):
    """Path to text of a build folder for the board."""
    built = sources()
    files = {**built, **board.files(CONFIG, built, cores)}
    return {name: content.decode() for name, content in files.items()}


@pytest.mark.parametrize("cores", [1, 2, 3, 4])
def test_the_project_of_each_number_of_cores_has_no_findings(board, cores):
    assert board.findings(build(board, cores)) == []


LOW = {"ddr_low_base": "0x0", "ddr_low_bytes": "0x80000000"}
HIGH = {"ddr_high_base": "0x800000000", "ddr_high_bytes": "0x80000000"}
MEMORY = {"zcu102": LOW | HIGH, "kv260": LOW | HIGH, "zcu104": LOW}


def test_memory_and_registers_lie_where_the_device_has_them(board):
    settings = build(board, cores=1)[SETTINGS]
    found = dict(re.findall(r"^set (ddr_\w+) (\w+)$", settings, re.MULTILINE))
    assert found == MEMORY[board.name]
    assert "set registers_base 0xa0000000\n" in settings


# Braces hold facts of the board: its part, its pattern of board files, its title and its clock.
FAULTS = {  # name: file, what to replace, by what, and the one finding
    "a typo in a command": (
        PROJECT,
        "create_bd_cell -type module",
        "create_bd_cel -type module",
        "vivado/project.tcl, line {line}: invalid command name 'create_bd_cel'",
    ),
    "a typo in an option": (
        BUILD,
        "-to_step write_bitstream",
        "-to_stp write_bitstream",
        "vivado/build.tcl, line {line}: launch_runs has no option -to_stp; it has -cluster_"
        "configuration, -custom_script, -dir, -email_all, -email_to, -force, -host, -jobs, -lsf, "
        "-next_step, -post_launch_script, -pre_launch_script, -quiet, -remote_cmd, -scripts_only, "
        "-sge, -to_step, -verbose",
    ),
    "a typo in a pin": (
        PROJECT,
        "get_bd_pins ps/pl_clk0",
        "get_bd_pins ps/pl_clk",
        "vivado/project.tcl, line {line}: no pin 'ps/pl_clk'; there is ps/maxihpm0_fpd_aclk, "
        "ps/pl_clk0, ps/pl_ps_irq0, ps/pl_resetn0, ps/saxihp0_fpd_aclk, ps/saxihp1_fpd_aclk",
    ),
    "a typo in a parameter": (
        PROJECT,
        "CONFIG.PSU__USE__IRQ0 1",
        "CONFIG.PSU__USE_IRQ0 1",
        "vivado/project.tcl, line {line}: set_property: cell 'ps' has no parameter "
        "'CONFIG.PSU__USE_IRQ0' here",
    ),
    "no closing brace": (
        BUILD,
        "proc finish {run} {",
        "proc finish {run} {{",
        "vivado/build.tcl, line {line}: missing close-brace",
    ),
    "a source that is not there": (
        SETTINGS,
        "rtl/ultrascale/qnn_pe.v",
        "rtl/ultrascale/qnn_pee.v",
        "vivado/project.tcl, line {line}: add_files: there is no rtl/ultrascale/qnn_pee.v in this "
        "build",
    ),
    "a source less": (
        SETTINGS,
        "    rtl/ultrascale/qnn_pe.v\n",
        "",
        "vivado: rtl/qnn_accelerator.v instantiates qnn_pe, which no source defines; add its file",
    ),
    "a source twice": (
        SETTINGS,
        "    rtl/ultrascale/qnn_pe.v\n",
        "    rtl/ultrascale/qnn_pe.v\n    rtl/qnn_pe.v\n",
        "vivado: module qnn_pe is in rtl/ultrascale/qnn_pe.v and in rtl/qnn_pe.v; add one of them",
    ),
    "no connection of a bus": (
        PROJECT,
        "connect_bd_intf_net [get_bd_intf_pins core_$core/m_axi] "
        "[get_bd_intf_pins memory_$core/S00_AXI]",
        "",
        "vivado: bus core_0/m_axi, memory_0/S00_AXI: not connected; connect_bd_intf_net it",
    ),
    "no clock of the cores": (
        PROJECT,
        "connect_bd_net $clock [get_bd_pins core_$core/clk]",
        "",
        "vivado: clock core_0/clk is not driven; connect_bd_net it",
    ),
    "no clock of a memory port": (
        PROJECT,
        "connect_bd_net $clock [get_bd_pins ps/saxihp${core}_fpd_aclk]",
        "",
        "vivado: clock ps/saxihp0_fpd_aclk is not driven; connect_bd_net it",
    ),
    "no reset of the cores": (
        PROJECT,
        "connect_bd_net [get_bd_pins reset/peripheral_reset] [get_bd_pins core_$core/rst]",
        "",
        "vivado: reset core_0/rst is not driven; connect_bd_net it",
    ),
    "a reset of the wrong polarity": (
        PROJECT,
        "reset/peripheral_reset]",
        "reset/peripheral_aresetn]",
        "vivado: reset core_0/rst is active high, but reset/peripheral_aresetn is active low",
    ),
    "a reset from a clock": (
        PROJECT,
        "connect_bd_net [get_bd_pins ps/pl_resetn0] [get_bd_pins reset/ext_reset_in]",
        "connect_bd_net $clock [get_bd_pins reset/ext_reset_in]",
        "vivado: reset reset/ext_reset_in is driven by ps/pl_clk0, which is a clock",
    ),
    "no clock of the buses": (
        "rtl/qnn_accelerator.v",
        "ASSOCIATED_BUSIF m_axi:s_axi",
        "ASSOCIATED_BUSIF s_axi",
        "vivado: bus core_0/m_axi has no clock; name it in ASSOCIATED_BUSIF of the clock's port",
    ),
    "no interrupt": (
        PROJECT,
        "connect_bd_net [get_bd_pins core_$core/irq] [get_bd_pins interrupts/In$core]",
        "",
        "vivado: interrupt core_0/irq, interrupts/In0: not connected; connect_bd_net it",
    ),
    "addresses that overlap": (
        PROJECT,
        "$registers_base + $core * $registers_step",
        "$registers_base",
        "vivado: addresses of ps/Data overlap: core_0/s_axi/reg0 at 0xa0000000 to 0xa0000fff, and "
        "core_1/s_axi/reg0 at 0xa0000000 to 0xa0000fff",
    ),
    "an address outside the port's": (
        SETTINGS,
        "set registers_base 0xa0000000",
        "set registers_base 0xb0000000",
        "vivado: core_0/s_axi/reg0 at 0xb0000000 to 0xb0000fff is outside 0xa0000000 to 0xafffffff",
    ),
    "more addresses than a core decodes": (
        SETTINGS,
        "set registers_bytes 0x1000",
        "set registers_bytes 0x2000",
        "vivado: core_0/s_axi/reg0 at 0xa0000000 to 0xa0001fff has 8192 bytes, more than the 12 "
        "address bits of its slave decode",
    ),
    "an address that is no multiple of its range": (
        SETTINGS,
        "set registers_base 0xa0000000",
        "set registers_base 0xa0000800",
        "vivado: core_0/s_axi/reg0 at 0xa0000800 to 0xa00017ff does not begin at a multiple of its "
        "0x1000 bytes",
    ),
    "no address of the memory": (
        PROJECT,
        "assign_bd_address -offset $ddr_low_base -range $ddr_low_bytes \\\n"
        "        -target_address_space $space [get_bd_addr_segs ${side}_DDR_LOW]",
        "",
        "vivado: core_0/m_axi has no address for ps/SAXIGP2/HP0_DDR_LOW; assign_bd_address it",
    ),
    "no board preset": (
        PROJECT,
        '-config {apply_board_preset "1"}',
        "-config {}",
        "vivado/project.tcl, line {line}: apply_bd_automation: only the board's preset is known "
        "here",
    ),
    "a clock that the board cannot make": (
        SETTINGS,
        "set clock_mhz {clock}",
        "set clock_mhz 200",
        "vivado: ps cannot make 200 MHz of 1500 MHz by a whole divisor",
    ),
    "more memory than the board has": (
        SETTINGS,
        "set ddr_low_bytes 0x80000000",
        "set ddr_low_bytes 0x100000000",
        "vivado: ps/SAXIGP2/HP0_DDR_LOW at 0x0 to 0xffffffff is outside 0x0 to 0x7fffffff",
    ),
    "another PLL": (
        PROJECT,
        "PL0_REF_CTRL__SRCSEL IOPLL",
        "PL0_REF_CTRL__SRCSEL RPLL",
        "vivado: ps makes its clock from another PLL than IOPLL, whose rate is known",
    ),
    "a port of another width": (
        SETTINGS,
        "set bus_bits 64",
        "set bus_bits 256",
        "vivado: ps has a port of 256 bits (PSU__SAXIGP2__DATA_WIDTH); it can have 32, 64 or 128",
    ),
    "another part": (
        SETTINGS,
        "{part}",
        "xczu3eg-sbva484-1-e",
        "vivado: the part is xczu3eg-sbva484-1-e, but a {title} has {part}",
    ),
    "no board file": (
        SETTINGS,
        "set board_part {board_part}",
        "set board_part {board_part}O",
        "vivado/project.tcl, line {line}: no board file fits {board_part}O; install that of the "
        "{title} from Vivado's board store",
    ),
    "another name of the project": (
        PROJECT,
        "-part $part qnn ",
        "-part $part qn ",
        'vivado/build.tcl, line {line}: error copying "/vivado/project/qnn.runs/impl_1/'
        'system_wrapper.bit": no such file or directory',
    ),
    "no top": (
        PROJECT,
        "set_property top system_wrapper",
        "set_property top wrapper",
        'vivado/build.tcl, line {line}: error copying "/vivado/project/qnn.runs/impl_1/'
        'system_wrapper.bit": no such file or directory',
    ),
    "no validation": (
        PROJECT,
        "\nvalidate_bd_design",
        "\n",
        "vivado: the block design is never validated; call validate_bd_design",
    ),
    "a folder that is not made": (
        BUILD,
        "file mkdir $here/reports",
        "",
        'vivado/build.tcl, line {line}: couldn\'t write "vivado/reports/timing.rpt": no such '
        "folder; file mkdir it",
    ),
    "no report": (
        BUILD,
        "report_utilization -file $here/reports/utilization.rpt",
        "",
        "vivado: vivado/reports/utilization.rpt is never written",
    ),
    "implementation before synthesis": (
        BUILD,
        "finish synth_1\n",
        "",
        "vivado/build.tcl, line {line}: launch_runs: impl_1 needs synth_1, which has not run",
    ),
}


def fault(board, name):
    """File, what to replace, by what, and the one finding, for one board."""
    facts = board.facts
    words = {
        "{part}": facts.part.value,
        "{board_part}": facts.board_part.value,
        "{title}": facts.title,
        "{clock}": f"{facts.clock_mhz:g}",
    }
    texts = FAULTS[name]
    for word, value in words.items():
        texts = tuple(text.replace(word, value) for text in texts)
    return texts


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_in_one_line(board, name):
    file, old, new, expected = fault(board, name)
    files = build(board, cores=2 if "overlap" in expected or "saxihp1" in expected else 1)
    assert old in files[file]
    files[file] = files[file].replace(old, new, 1)
    (found,) = board.findings(files)
    assert re.sub(r"line \d+", "line {line}", found) == expected


def test_high_memory_is_enabled_where_there_is_some_and_only_there(board):
    high = "high" in board.facts.memory
    files = build(board, cores=1)
    enable = "PSU__HIGH_ADDRESS__ENABLE"
    assert f"{enable} {int(high)} " in files[PROJECT]
    files[PROJECT] = files[PROJECT].replace(f"{enable} {int(high)}", f"{enable} {int(not high)}")
    assert board.findings(files) == [
        f"vivado: ps has no memory above 2 GB; set {enable}"
        if high
        else f"vivado: ps has addresses for memory above 2 GB, but a {board.title} has 2 GB; clear "
        f"{enable}"
    ]


def test_a_port_of_registers_that_boot_images_make_wider_is_found(board):
    files = build(board, cores=1)
    width = "PSU__MAXIGP0__DATA_WIDTH"
    assert f"{width} 128 " in files[PROJECT]
    files[PROJECT] = files[PROJECT].replace(f"{width} 128", f"{width} 32")
    assert board.findings(files) == [
        f"vivado: ps has a HPM0 of 32 bits, but boot images leave it at 128; set {width} 128"
    ]


def test_an_address_of_memory_that_the_board_has_not_is_found():
    board = named("zcu104")
    files = build(board, cores=1)
    files[PROJECT] = files[PROJECT].replace("${side}_DDR_LOW", "${side}_DDR_HIGH")
    (found,) = board.findings(files)
    assert re.sub(r"line \d+", "line {line}", found) == (
        "vivado/project.tcl, line {line}: no address segment 'ps/SAXIGP2/HP0_DDR_HIGH'; there is "
        "ps/SAXIGP2/HP0_DDR_LOW, ps/SAXIGP2/HP0_LPS_OCM, ps/SAXIGP2/HP0_QSPI"
    )


@pytest.mark.parametrize("other", BOARDS, ids=lambda board: board.name)
def test_the_project_of_another_board_is_found(board, other):
    found = board.findings(build(other, cores=1))
    assert (found == []) == (board is other)


def test_a_failure_names_its_line(board):
    files = build(board)
    lines = files[PROJECT].splitlines()
    number = next(n for n, line in enumerate(lines) if "xlconcat" in line)
    lines[number] = lines[number].replace("xlconcat", "xlconkat")
    files[PROJECT] = "\n".join(lines)
    assert board.findings(files) == [
        f"vivado/project.tcl, line {number + 1}: create_bd_cell: no IP 'xilinx.com:ip:xlconkat' is "
        f"known here; known: xilinx.com:ip:proc_sys_reset, xilinx.com:ip:smartconnect, "
        f"xilinx.com:ip:xlconcat, xilinx.com:ip:zynq_ultra_ps_e"
    ]


def test_without_attributes_the_core_has_no_buses(board):
    files = build(board, cores=1)
    text = files["rtl/qnn_accelerator.v"]
    files["rtl/qnn_accelerator.v"] = "\n".join(
        line for line in text.splitlines() if "X_INTERFACE" not in line
    )
    (found,) = board.findings(files)
    assert re.sub(r"line \d+", "line {line}", found) == (
        "vivado/project.tcl, line {line}: no interface 'core_0/s_axi'; there is ps/M_AXI_HPM0_FPD, "
        "ps/S_AXI_HP0_FPD, registers/M00_AXI, registers/S00_AXI"
    )


@pytest.mark.parametrize(
    ("result", "value", "reason"),
    [
        ("PROGRESS", "60%", "synth_1 failed; see runme.log in the project's folder of that run"),
        (
            "STATS.WNS",
            "-0.012",
            "timing is not met: -0.012 ns; see reports/timing.rpt, and compile with a lower "
            "--clock-mhz",
        ),
        (
            "STATS.WHS",
            "-0.003",
            "hold time is not met: -0.003 ns, which no lower clock helps; see reports/timing.rpt",
        ),
    ],
)
def test_a_run_that_fails_ends_the_build_with_an_error(board, monkeypatch, result, value, reason):
    monkeypatch.setitem(RESULTS, result, value)
    (found,) = board.findings(build(board, cores=1))
    assert re.sub(r"line \d+", "line {line}", found) == f"{BUILD}, line {{line}}: {reason}"


def test_a_clock_slower_than_asked_for_ends_the_build_with_an_error(board, monkeypatch):
    monkeypatch.setattr(Project, "get_property", slow(Project.get_property))
    (found,) = board.findings(build(board, cores=1))
    clock = f"{board.clock_mhz:g}"
    assert found.endswith(f"the clock's period is 8.000 ns, longer than {clock} MHz allow for")


def slow(get_property):
    """A ``get_property`` of a project whose clock has 125 MHz."""

    def changed(self, call):
        return "8.000" if call.objects[0] == "PERIOD" else get_property(self, call)

    return changed


def test_each_core_has_a_port_registers_and_an_interrupt_of_its_own(board):
    readme = build(board, cores=4)["vivado/README.md"]
    rows = [line for line in readme.splitlines() if line.startswith("| core_")]
    columns = list(zip(*(row.strip("| ").split(" | ") for row in rows), strict=True))
    assert [len(set(column)) for column in columns] == [4, 4, 4, 4]
    assert columns[3][0] == "pl_ps_irq0[0], GIC 121"
    assert "Not run in Vivado" in readme


def test_the_same_inputs_give_the_same_bytes(board):
    assert build(board) == build(board)


LEFT_OUT_UNSEEN = (  # commands that a project can do without, as far as the check can tell
    *("update_compile_order", "save_bd_design", "puts", "foreach other"),
    *("exclude_bd_addr_seg", "report_utilization -hierarchical", "add_files -fileset constrs_1"),
    "assign_bd_address -offset $ddr_high_base",
)


def commands(text):
    """First and last line number of each command that has its lines for itself."""
    lines, found, start = text.splitlines(), [], None
    for number, line in enumerate(lines):
        start = number if start is None else start
        if line.endswith("\\"):
            continue
        first = lines[start].strip()
        if first and not first.startswith(("#", "}", "for", "if", "proc", "set ", "error")):
            found.append((start, number))
        start = None
    return found


@pytest.mark.parametrize("file", [PROJECT, BUILD])
def test_no_command_can_be_left_out_unseen(board, file):
    files = build(board, cores=1)
    lines = files[file].splitlines()
    seen = []
    for first, last in commands(files[file]):
        if not lines[first].strip().startswith(LEFT_OUT_UNSEEN):
            text = "\n".join([*lines[:first], *lines[last + 1 :]])
            seen.append((lines[first].strip(), board.findings({**files, file: text})))
    assert len(seen) > 10
    assert [command for command, found in seen if not found] == []
