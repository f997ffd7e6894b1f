"""One lane in Verilator: every combination of codes of up to four terms, of every width."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

from hw.array import PE
from hw.pe import ProcessingElement
from hw.spec.config import SvpeConfig
from hw.spec.timing import product_stages, tree_levels
from hw.verilog import files
from qnn.eda import verilator

pytestmark = pytest.mark.rtl
BENCH = Path(__file__).with_name("every_weight.sv")
LANES = 2  # the least; the second one's weights are 0


@cache
def program(bits, folder, shift=None):
    """The compiled bench; ``shift`` is what it expects between two terms."""
    config = SvpeConfig(lanes=LANES, rows=1, columns=1, weight_bits=bits, accumulator_bits=48)
    for name, text in files(ProcessingElement(config), PE).items():
        (folder / name).write_text(text)
    sizes = {
        "LANES": LANES,
        "BITS": bits,
        "SUM": config.accumulator_bits,
        "SHIFT": config.term_shift if shift is None else shift,
        "LATENCY": 3 + product_stages(config) + tree_levels(config),
    }
    command = [
        str(verilator.root() / "bin" / "verilator_bin"),
        *("-cc", "--exe", "--main", "--timing", "--prefix", "Vtop", "-Wno-fatal", "-Wno-lint"),
        *("--top-module", BENCH.stem, "-o", BENCH.stem, "-Mdir", "build"),
        *(f"-D{name}={value}" for name, value in sizes.items()),
        *(str(BENCH), f"{PE}.v"),
    ]
    variables = {**verilator.REPAIR, **verilator.OPTIMISE, "PYTHON3": "python3"}
    variables |= {"CXX": verilator.compiler(), "LINK": verilator.compiler()}
    make = ["make", "-C", "build", "-f", "Vtop.mk", *(f"{n}={v}" for n, v in variables.items())]
    for step in (command, make):
        subprocess.run(
            step, cwd=folder, check=True, capture_output=True, env=verilator.environment()
        )
    return folder / "build" / BENCH.stem


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {bits: tmp_path_factory.mktemp(f"bits_{bits}") for bits in range(2, 6)}


def run(path, terms):
    done = subprocess.run([str(path), f"+terms={terms}"], capture_output=True, text=True)
    return done.stdout.splitlines()[0]


@pytest.mark.parametrize("terms", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_every_combination_of_codes_gives_the_weights_product(bits, terms, folders):
    assert run(program(bits, folders[bits]), terms) == f"0 of {1 << bits * terms} wrong"


def test_a_sum_that_moves_by_another_shift_is_found(tmp_path):
    wrong, _, count, _ = run(program(3, tmp_path, shift=1), 2).split()
    assert int(count) == 64
    assert int(wrong) > 30
