from dataclasses import replace

import numpy as np
import pytest

from hw.spec.config import named_config
from qnn.errors import DeviceError
from sim import dram, rtl
from tests.sim.copy_image import copy_image

pytestmark = pytest.mark.rtl

CONFIG = named_config("test")
IMAGE = copy_image(CONFIG)
X = np.random.default_rng(3).integers(0, 256, (3, 11, 3, 5))
# Regions in pages: image, (empty) scratch, then input and output of each run.
INPUT_0, OUTPUT_0 = dram.BASE + 3 * dram.PAGE_BYTES, dram.BASE + 4 * dram.PAGE_BYTES
INPUT_1 = dram.BASE + 5 * dram.PAGE_BYTES


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_runs_follow_one_another_under_any_stalls(seed):
    timing = rtl.MemoryTiming.stalled(seed) if seed else None
    result = rtl.execute(IMAGE, X, timing=timing)
    assert [run.failure for run in result.runs] == [None] * 3
    np.testing.assert_array_equal(result.outputs[0], X)
    assert result.broken is None
    assert all(0 < run.cycles <= run.simulated_cycles for run in result.runs)
    assert result.cycles_per_second > 0


@pytest.mark.parametrize(("run", "address"), [(0, INPUT_0 + 3), (1, INPUT_1 + 100)])
def test_a_read_error_ends_the_run_with_the_address_of_its_burst(run, address):
    result = rtl.execute(IMAGE, X, timing=rtl.MemoryTiming(error_read=address))
    burst = INPUT_0 if run == 0 else INPUT_1
    assert [r.failure for r in result.runs] == [
        f"a memory read answered an error at address {burst:#x}; the newest layer was 'none'"
        if number == run
        else None
        for number in range(3)
    ]


def test_a_write_error_ends_the_run_with_the_address_of_its_burst():
    result = rtl.execute(IMAGE, X[:1], timing=rtl.MemoryTiming(error_write=OUTPUT_0 + 64))
    assert result.runs[0].failure == (
        f"a memory write answered an error at address {OUTPUT_0:#x}; the newest layer was 'none'"
    )


def test_an_instruction_that_does_not_exist_ends_the_run():
    # With a limit, because one cannot be told from a program that does not decode.
    result = rtl.execute(copy_image(CONFIG, code={"store": 9}), X[:1], limit=20_000)
    assert result.runs[0].failure == (
        "an instruction has an operation code that does not exist; the newest layer was 'none'"
    )


def test_a_hang_ends_by_a_time_out():
    image = copy_image(CONFIG, load={"signals": frozenset()})
    result = rtl.execute(image, X, limit=5000)
    assert [run.failure for run in result.runs] == ["time-out: not done after 5000 cycles"]
    assert result.runs[0].trace.timed_out
    assert result.broken is None


def test_a_store_behind_its_region_changes_a_guard_byte():
    image = copy_image(CONFIG, store={"words": 31})
    broken = rtl.execute(image, X[:1]).broken
    assert broken.partition(" ")[2] == (
        f"bytes outside the writable regions changed, the first at address {OUTPUT_0 + 240:#x}, "
        f"240 bytes from the start of 'output 0' (240 bytes); the accelerator wrote there: a store "
        f"instruction is wrong"
    )


def test_an_image_for_another_configuration_is_refused():
    other = replace(IMAGE, config=replace(CONFIG, weight_words=1024))
    with pytest.raises(
        DeviceError, match=r"^rtl: the image is for 8x4x2 .* compile the model for the device's "
    ):
        rtl.execute(other, X[:1], verilog=rtl.generated(CONFIG))
