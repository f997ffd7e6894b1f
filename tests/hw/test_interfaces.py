import re

import pytest

from hw.interfaces import annotated, attributes
from hw.spec.config import CONFIGS
from hw.spec.verilog_files import TOP
from hw.verilog import verilog

DECLARATION = re.compile(
    r"(?P<before>(?:^  \(\* .* \*\)\n)*)^  (?:input|output) wire .*?(?P<port>\w+),?$", re.MULTILINE
)
BUS = "xilinx.com:interface:aximm:1.0"
ADDRESS = ("ADDR", "PROT", "READY", "VALID")
FULL_ADDRESS = (*ADDRESS, "BURST", "CACHE", "ID", "LEN", "LOCK", "QOS", "SIZE")
DATA = {"R": ("DATA", "READY", "RESP", "VALID"), "W": ("DATA", "READY", "STRB", "VALID")}
ANSWER = ("READY", "RESP", "VALID")


def expected():
    """Port to the value of X_INTERFACE_INFO, from the AXI specification's names."""
    found = {
        "clk": "xilinx.com:signal:clock:1.0 clk CLK",
        "rst": "xilinx.com:signal:reset:1.0 rst RST",
        "irq": "xilinx.com:signal:interrupt:1.0 irq INTERRUPT",
    }
    channels = {
        "s_axi": {"AR": ADDRESS, "AW": ADDRESS, **DATA, "B": ANSWER},
        "m_axi": {
            "AR": FULL_ADDRESS,
            "AW": FULL_ADDRESS,
            "R": (*DATA["R"], "ID", "LAST"),
            "W": (*DATA["W"], "LAST"),
            "B": (*ANSWER, "ID"),
        },
    }
    for bus, its in channels.items():
        for channel, names in its.items():
            for name in names:
                signal = channel + name
                found[f"{bus}_{signal.lower()}"] = f"{BUS} {bus} {signal}"
    return found


def declared(text):
    """Port to its attributes, of the top module in ``text``."""
    start = text.index(f"module {TOP} (")
    module = text[start : text.index(");", start)]
    return {
        found["port"]: dict(re.findall(r'\(\* (\w+) = "(.*)" \*\)', found["before"]))
        for found in DECLARATION.finditer(module)
    }


@pytest.fixture(scope="module")
def ports():
    return declared(verilog(CONFIGS["test"])[f"{TOP}.v"])


def test_each_port_names_its_interface(ports):
    assert {port: its["X_INTERFACE_INFO"] for port, its in ports.items()} == expected()


def test_clock_reset_and_interrupt_say_what_they_are(ports):
    assert {
        port: its["X_INTERFACE_PARAMETER"]
        for port, its in ports.items()
        if "X_INTERFACE_PARAMETER" in its
    } == {
        "clk": "XIL_INTERFACENAME clk, ASSOCIATED_BUSIF m_axi:s_axi, ASSOCIATED_RESET rst",
        "rst": "XIL_INTERFACENAME rst, POLARITY ACTIVE_HIGH",
        "irq": "XIL_INTERFACENAME irq, SENSITIVITY LEVEL_HIGH",
        "m_axi_awaddr": (
            "XIL_INTERFACENAME m_axi, PROTOCOL AXI4, MAX_BURST_LENGTH 64, NUM_READ_OUTSTANDING 16, "
            "NUM_READ_THREADS 2, NUM_WRITE_OUTSTANDING 4, NUM_WRITE_THREADS 1, "
            "SUPPORTS_NARROW_BURST 0"
        ),
        "s_axi_awaddr": (
            "XIL_INTERFACENAME s_axi, PROTOCOL AXI4LITE, MAX_BURST_LENGTH 1, "
            "NUM_READ_OUTSTANDING 1, NUM_WRITE_OUTSTANDING 1, SUPPORTS_NARROW_BURST 0"
        ),
    }


def test_ports_of_other_modules_stay_as_they_are():
    part = "module part(clk);\n  input clk;\n  wire clk;\nendmodule\n"
    own = f"module {TOP}(rst, clk);\n  input clk;\n  wire clk;\n  input rst;\n  wire rst;\n"
    text = annotated(f"{own}  wire [1:0] x;\nendmodule\n{part}", TOP)
    assert text.endswith(f"\n);\n  wire [1:0] x;\nendmodule\n{part}")
    assert list(declared(text)) == ["clk", "rst"]


def test_a_port_of_no_interface_is_refused():
    with pytest.raises(ValueError, match=r"^port 'led' belongs to no interface; name it in "):
        attributes("led")
