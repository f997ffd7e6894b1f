import re
import subprocess
import sys

import pytest

from hw.spec.config import CONFIGS
from hw.spec.verilog_files import TOP
from hw.verilog import verilog
from sim import runner

WRITE = """\
import hashlib
from hw.spec.config import CONFIGS
from hw.verilog import verilog
print(hashlib.sha256(repr(verilog(CONFIGS["test"])).encode()).hexdigest())
"""


def test_verilog_is_the_same_bytes_in_each_process():
    digests = {
        subprocess.run(
            [sys.executable, "-c", WRITE],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "77")
    }
    assert len(digests) == 1


def test_ports_are_those_that_packagers_recognise():
    text = verilog(CONFIGS["test"])[f"{TOP}.v"]
    start = text.index(f"module {TOP} (")
    head = text[start : text.index(");", start)]
    # Each is declared once, in the head.
    ports = re.findall(r"^  (?:input|output) wire (?:\[\d+:0\] )?(\w+),?$", head, re.MULTILINE)
    assert not re.findall(
        r"^  (?:input|output)\b", text[start + len(head) :].partition("endmodule")[0]
    )
    assert sorted(ports) == sorted(
        [
            "clk",
            "rst",
            "irq",
            *(
                f"m_axi_{channel}{name}"
                for channel in ("ar", "aw")
                for name in (
                    *("addr", "burst", "cache", "id", "len", "lock", "prot", "qos", "size"),
                    *("ready", "valid"),
                )
            ),
            *(f"m_axi_r{name}" for name in ("data", "id", "last", "ready", "resp", "valid")),
            *(f"m_axi_w{name}" for name in ("data", "last", "ready", "strb", "valid")),
            *(f"m_axi_b{name}" for name in ("id", "ready", "resp", "valid")),
            *(
                f"s_axi_{channel}{name}"
                for channel in ("ar", "aw")
                for name in ("addr", "prot", "ready", "valid")
            ),
            *(f"s_axi_r{name}" for name in ("data", "ready", "resp", "valid")),
            *(f"s_axi_w{name}" for name in ("data", "ready", "strb", "valid")),
            *(f"s_axi_b{name}" for name in ("ready", "resp", "valid")),
        ]
    )


@pytest.mark.rtl
@pytest.mark.parametrize("name", ["test", "small"], ids=["64-bit bus", "128-bit bus"])
@pytest.mark.parametrize("case", ["moves_words", "registers_read_back"])
def test_the_accelerator_over_axi(name, case):
    results = runner.simulate_bench(
        verilog(CONFIGS[name]),
        TOP,
        "tests.hw.cocotb.shell",
        environment={"QNN_BENCH_CONFIG": name, "COCOTB_TEST_FILTER": case},
    )
    assert results.tests == 4
