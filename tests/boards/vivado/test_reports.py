"""Texts in the format of Vivado's reports; the numbers are made up, and no tool wrote them."""

import pytest

from boards.vivado.reports import SiteUse, critical_path, read
from qnn.errors import ToolError

HEAD = """\
Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
-----------------------------------------------------------------------------------
| Tool Version : Vivado v.2022.1 (lin64) Build 3526262 Mon Apr 18 15:47:01 MDT 2022
| Design       : system_wrapper
| Device       : xczu9eg-ffvb1156
| Design State : Routed
-----------------------------------------------------------------------------------
"""
TIMING = """
------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  \
THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  \
TPWS Total Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  \
---------------------  -------------------     --------     --------  ----------------------  \
--------------------
      0.187        0.000                      0               123456        0.011        0.000  \
                    0               123456        1.458        0.000                       0  \
               45678


All user specified timing constraints are met.


------------------------------------------------------------------------------------------------
| Clock Summary
| -------------
------------------------------------------------------------------------------------------------

Clock     Waveform(ns)         Period(ns)      Frequency(MHz)
-----     ------------         ----------      --------------
clk_pl_0  {0.000 2.000}        4.000           250.000
"""
UTILIZATION = """
1. CLB Logic
------------

+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| CLB LUTs                   | 61234 |     0 |          0 |    274080 | 22.34 |
|   LUT as Logic             | 57000 |     0 |          0 |    274080 | 20.80 |
|   LUT as Memory            |  4234 |     0 |          0 |    144000 |  2.94 |
|     LUT as Distributed RAM |  3000 |     0 |            |           |       |
| CLB Registers              | 99876 |     0 |          0 |    548160 | 18.22 |
+----------------------------+-------+-------+------------+-----------+-------+
* Warning! The Final LUT count may be lower.

3. BLOCKRAM
-----------

+-------------------+-------+-------+------------+-----------+-------+
|     Site Type     |  Used | Fixed | Prohibited | Available | Util% |
+-------------------+-------+-------+------------+-----------+-------+
| Block RAM Tile    | 127.5 |     0 |          0 |       912 | 13.98 |
|   RAMB36/FIFO*    |   120 |     0 |          0 |       912 | 13.16 |
| URAM              |     0 |     0 |          0 |         0 |  0.00 |
+-------------------+-------+-------+------------+-----------+-------+

4. ARITHMETIC
-------------

+-----------+------+-------+------------+-----------+-------+
| Site Type | Used | Fixed | Prohibited | Available | Util% |
+-----------+------+-------+------------+-----------+-------+
| DSPs      |    0 |     0 |          0 |      2520 |  0.00 |
+-----------+------+-------+------------+-----------+-------+
"""


@pytest.fixture
def build(tmp_path):
    folder = tmp_path / "vivado" / "reports"
    folder.mkdir(parents=True)
    (folder / "timing.rpt").write_text(HEAD + TIMING)
    (folder / "utilization.rpt").write_text(HEAD + UTILIZATION)
    return tmp_path


def test_both_reports_are_read(build):
    found = read(build)
    assert (found.device, found.state) == ("xczu9eg-ffvb1156", "Routed")
    assert found.tool.startswith("Vivado v.2022.1 ")
    timing = found.timing
    assert (timing.met, timing.failing_endpoints, timing.endpoints) == (True, 0, 123456)
    assert (timing.worst_setup_ns, timing.worst_hold_ns) == (0.187, 0.011)
    assert (timing.worst_pulse_width_ns, timing.failing_setup_ns) == (1.458, 0.0)
    assert timing.clocks_mhz == {"clk_pl_0": 250.0}
    assert found.uses == {
        "lut": SiteUse(61234, 274080),
        "lut_logic": SiteUse(57000, 274080),
        "lut_memory": SiteUse(4234, 144000),
        "ff": SiteUse(99876, 548160),
        "bram36": SiteUse(127.5, 912),
        "dsp": SiteUse(0, 2520),
    }
    assert found.uses["lut"].share == pytest.approx(0.2234, abs=1e-4)


def test_violations_are_counted(build):
    path = build / "vivado/reports/timing.rpt"
    text = path.read_text().replace("All user specified timing constraints are met.", "not met.")
    text = text.replace("0.187        0.000                      0", "-0.333      -13.146     57")
    path.write_text(text)
    timing = read(build).timing
    assert (timing.met, timing.worst_setup_ns, timing.failing_setup_ns) == (False, -0.333, -13.146)
    assert timing.failing_endpoints == 57


def test_older_reports_have_a_column_less(build):
    path = build / "vivado/reports/utilization.rpt"
    text = (
        path.read_text().replace("| Prohibited ", "").replace("|     0 |          0 ", "|     0 ")
    )
    path.write_text(text.replace("|     0 |            |", "|     0 |"))
    assert read(build).uses["bram36"] == SiteUse(127.5, 912)


def test_hold_that_was_not_reported_is_none(build):
    path = build / "vivado/reports/timing.rpt"
    path.write_text(path.read_text().replace("0.011        0.000", "   NA           NA"))
    assert read(build).timing.worst_hold_ns is None


def test_without_reports_there_is_nothing(build):
    (build / "vivado/reports/timing.rpt").unlink()
    assert read(build).timing is None
    (build / "vivado/reports/utilization.rpt").unlink()
    assert read(build) is None


@pytest.mark.parametrize(
    ("name", "cut", "reason"),
    [
        ("timing", "123456        1.458", "no 'Design Timing Summary' of twelve numbers in it"),
        ("timing", "| Design Timing Summary", "no 'Design Timing Summary' of twelve numbers in it"),
        ("utilization", "| DSPs ", "no row 'DSPs' in it"),
        ("utilization", "| CLB LUTs  ", "no row 'CLB LUTs' in it"),
    ],
)
def test_a_cut_report_is_refused(build, name, cut, reason):
    path = build / f"vivado/reports/{name}.rpt"
    text = path.read_text()
    path.write_text(text[: text.index(cut)])
    with pytest.raises(ToolError) as error:
        read(build)
    assert str(error.value) == f"{path}: {reason}; build it again in Vivado"


def path(slack, delay, kind="Setup", name="a"):
    """One path, as the timing summary of Vivado 2022.1 lists it."""
    return f"""\
Slack (MET) :             {slack}ns  (required time - arrival time)
  Source:                 core_0/{name}_reg[3]/C
                            (rising edge-triggered cell FDRE clocked by clk_pl_0)
  Destination:            core_0/{name}_sum_reg/D
  Path Group:             clk_pl_0
  Path Type:              {kind} (Max at Slow Process Corner)
  Requirement:            4.000ns  (clk_pl_0 rise@4.000ns - clk_pl_0 rise@0.000ns)
  Data Path Delay:        {delay}ns  (logic 0.902ns (24.310%)  route 2.808ns (75.690%))
  Logic Levels:           6  (CARRY8=2 LUT6=4)

"""


def test_the_critical_path_has_the_least_slack_of_all_setup_paths():
    text = path(0.9, 2.0) + path(0.187, 3.71, name="b") + path(0.01, 0.1, "Hold", "c")
    assert critical_path(text) == (
        "core_0/b_reg[3]/C to core_0/b_sum_reg/D: 3.71 ns, 6 levels of logic"
    )
    assert critical_path(path("-0.2", 4.1) + path(0.1, 3.8)).startswith("core_0/a_reg[3]/C to")
    assert critical_path(TIMING) is None
