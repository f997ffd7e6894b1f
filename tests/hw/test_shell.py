import shutil

import pytest

from hw.convert import convert
from hw.spec.config import CONFIGS
from sim import runner
from tests.hw.loopback import LoopbackAccelerator

pytestmark = pytest.mark.rtl

TOP = "shell_bench"


@pytest.mark.parametrize("config", ["test", "small"], ids=["64-bit bus", "128-bit bus"])
@pytest.mark.parametrize("seed", [1, 2])
def test_shell_over_axi(config, seed):
    run_bench(config, seed, "verilator")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed")
def test_shell_over_axi_in_icarus():
    run_bench("test", 1, "icarus")


def run_bench(config, seed, simulator):
    verilog = convert(LoopbackAccelerator(CONFIGS[config]), TOP)
    runner.simulate_bench(
        {f"{TOP}.v": verilog},
        TOP,
        "tests.hw.cocotb.shell",
        seed=seed,
        environment={"QNN_BENCH_CONFIG": config},
        simulator=simulator,
    )
