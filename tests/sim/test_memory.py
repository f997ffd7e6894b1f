from pathlib import Path

import numpy as np
import pytest

from sim import runner

pytestmark = pytest.mark.rtl

BENCH = "tests.hw.cocotb.memory"
BASE, SIZE = 0x40_0000, 16384
SIM = Path(runner.__file__).parent
SOURCES = (SIM / "storage.sv", SIM / "memory.sv", Path(__file__).with_name("one_port.sv"))
CONTENT = np.array([i * 7 % 251 for i in range(SIZE)], np.uint8)


@pytest.fixture(params=[64, 128])
def memory(request, tmp_path):
    """Runs one test of the bench; the arguments are plusargs."""
    bus_bits = request.param
    model = runner.build(
        {source.name: source.read_text() for source in SOURCES},
        "one_port",
        parameters={"DATA_BITS": bus_bits, "ADDRESS_BITS": 40, "WORDS": SIZE * 8 // bus_bits},
    )
    content = tmp_path / "memory.bin"
    CONTENT.reshape(-1, bus_bits // 8)[:, ::-1].tofile(content)

    def run(testcase, **plusargs):
        plusargs |= {"memory": content, "base": f"{BASE:x}", "words": SIZE * 8 // bus_bits}
        arguments = [f"{name}={value}" for name, value in plusargs.items()]
        runner.run(model, BENCH, testcase=testcase, plusargs=arguments, work=tmp_path)

    return run


@pytest.mark.parametrize("stall", [0, 128], ids=["flowing", "stalled"])
@pytest.mark.parametrize("seed", [0, 9], ids=["in order", "by id"])
def test_reads_what_was_written(memory, stall, seed):
    channels = dict.fromkeys(("stall_ar", "stall_r", "stall_aw", "stall_w", "stall_b"), stall)
    memory("reads_what_was_written", latency=5, seed=seed, **channels)


def test_answers_errors_where_told(memory):
    memory(
        "answers_errors_where_told", error_read=f"{BASE + 0x17F:x}", error_write=f"{BASE + 0x200:x}"
    )


def test_keeps_its_latency_and_one_beat_a_cycle(memory):
    memory("keeps_its_latency_and_one_beat_a_cycle", latency=20)


@pytest.mark.parametrize("rate", [8, 6, 5, 1])
def test_keeps_to_its_rate(memory, rate):
    memory("keeps_to_its_rate", latency=20, rate=rate)


def test_counts_what_breaks_the_protocol(memory):
    memory("counts_what_breaks_the_protocol", latency=1)
