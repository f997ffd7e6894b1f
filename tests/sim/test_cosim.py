"""The driver of boards on the RTL simulation: the same code, every way to fail, and recovery."""

import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hw.spec.config import named_config
from hw.spec.registers import Control, Register, Status
from qnn.compiler import compile_graph
from qnn.errors import DeviceError
from qnn.ir.reference import reference
from qnn.runtime.driver import Driver
from qnn.runtime.handshake import flags
from qnn.runtime.proven import ProvenCore
from qnn.runtime.remote import RemoteTransport, Request
from qnn.runtime.tensors import pack_inputs, unpack_outputs
from sim import dram
from sim.cosim import HOST, rtl_transport, serve
from sim.cycles import simulate_cycles
from sim.rtl import MemoryTiming
from tests.compiler import small_graphs
from tests.graphs import images
from tests.runtime.faulty import FaultyTransport, Plan, each_fault
from tests.sim.copy_image import copy_image

pytestmark = pytest.mark.rtl

CONFIG = named_config("test")
GRAPH = small_graphs.network()
IMAGE = compile_graph(GRAPH, CONFIG, 2)
COPIES = copy_image(CONFIG, channels=64, height=8, width=8)  # all of it load and store
HANGS = copy_image(CONFIG, load={"signals": frozenset()})
LEAST_SPEED = 30_000  # cycles a second, while a driver waits
NO_MEMORY = MemoryTiming(latency=1 << 30)  # an answer would come in hours
PAGE = dram.PAGE_BYTES


def outputs(driver, x, image=IMAGE):
    return unpack_outputs(image, driver.run(image, pack_inputs(image, x)).outputs, len(x))[0]


def expected(x):
    return reference(GRAPH, x)[GRAPH.outputs[0].name]


def refusal(driver, image=IMAGE, runs=2):
    with pytest.raises(DeviceError) as error:
        driver.run(image, np.zeros((runs, image.input_bytes), np.uint8))
    assert "\n" not in str(error.value)
    return str(error.value).partition(": ")[2]  # behind the name, which has the port


def status(core):
    return flags(core.read(Register.STATUS))


@pytest.mark.parametrize("cores", [1, 2, 4])
@pytest.mark.parametrize("timing", [None, MemoryTiming.stalled(3)], ids=["flowing", "stalled"])
def test_outputs_are_those_of_the_reference(cores, timing):
    x = images(GRAPH, 2 * 2 * cores + 3)
    with rtl_transport(CONFIG, cores=cores, paths=cores, timing=timing) as transport:
        driver = Driver(transport)
        np.testing.assert_array_equal(outputs(driver, x), expected(x))
        np.testing.assert_array_equal(outputs(driver, x[:1]), expected(x[:1]))
        assert len(transport.cores) == cores


def test_a_run_takes_the_cycles_of_the_model():
    with rtl_transport(CONFIG) as transport:
        run = Driver(transport).run(IMAGE, pack_inputs(IMAGE, images(GRAPH, 4)))
    model = simulate_cycles(IMAGE).cycles
    assert len(run.cycles) == 2
    assert set(run.cycles) == {model}


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from hw.spec.image import Image
from qnn.runtime.driver import Driver
from qnn.runtime.remote import RemoteTransport

port, halfway, path = sys.argv[1:]
transport, image = RemoteTransport("127.0.0.1", int(port)), Image.read(Path(path))
runs = Driver(transport).stream(image, np.zeros((4, image.input_bytes), np.uint8))
next(runs)  # the second run has started
assert not transport.cores[0].wait(int(halfway))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("timing", [None, MemoryTiming.stalled(5)], ids=["flowing", "stalled"])
@pytest.mark.parametrize("halfway", [150, 600])
def test_a_new_driver_recovers_what_a_killed_one_left(timing, halfway, tmp_path):
    x, path = images(GRAPH, 4), tmp_path / "image.bin"
    IMAGE.write(path)
    with serve(CONFIG, timing=timing) as port:
        command = [sys.executable, "-c", KILLED, str(port), str(halfway), str(path)]
        assert subprocess.run(command).returncode == -signal.SIGKILL
        with closing(RemoteTransport(HOST, port)) as transport:
            assert transport.cores[0].read(Register.STATUS) & Status.BUSY
            np.testing.assert_array_equal(outputs(Driver(transport), x), expected(x))


@pytest.mark.parametrize("image", [IMAGE, COPIES], ids=["network", "copy"])
def test_a_reset_at_any_time_keeps_to_the_protocol_under_backpressure(image):
    x, busy = images(GRAPH, 2), 0
    data = np.zeros((2, image.input_bytes), np.uint8)
    with rtl_transport(CONFIG, timing=MemoryTiming.stalled(11)) as transport:
        core = transport.cores[0]
        for halfway in range(1, 2000, 67):
            runs = Driver(transport).stream(image, data)
            next(runs)  # the second run has started
            core.wait(halfway)
            busy += core.read(Register.STATUS) & Status.BUSY
            runs.close()
            assert status(core) == 0
        np.testing.assert_array_equal(outputs(Driver(transport), x), expected(x))
        assert transport.state().violations == 0
    assert busy > 15


def test_another_configuration_is_refused():
    other = replace(CONFIG, weight_words=1024)
    with rtl_transport(CONFIG) as transport:
        assert refusal(Driver(transport), replace(IMAGE, config=other)) == (
            f"the image is for {other} (fingerprint {other.fingerprint:016x}), but the device has "
            f"fingerprint {CONFIG.fingerprint:016x}; compile the model for the device's "
            "configuration, by 'qnn compile --config BUILD' with the device's build"
        )


def test_an_image_that_is_too_large_for_the_memory_is_refused():
    assert len(IMAGE.payload) > PAGE
    with rtl_transport(CONFIG, memory_bytes=PAGE) as transport:
        assert refusal(Driver(transport)) == (
            f"the image needs a region of {len(IMAGE.payload):,} bytes, but of 4,096 bytes of "
            f"memory only 4,096 are left; start a simulation with more memory"
        )


def test_an_engine_that_hangs_is_a_time_out_and_the_next_run_is_right():
    x = images(GRAPH, 2)
    with rtl_transport(CONFIG) as transport:
        driver = Driver(transport, limit=5000)
        assert refusal(driver, HANGS) == (
            "run 0: time-out: not done after 5,000 cycles; the newest layer was 'none'; check the "
            "device's clock and memory"
        )
        assert status(transport.cores[0]) == 0
        np.testing.assert_array_equal(outputs(driver, x), expected(x))


def test_a_memory_that_never_answers_is_told_and_cannot_be_reset():
    with rtl_transport(CONFIG, timing=NO_MEMORY) as transport:
        text = refusal(Driver(transport, limit=2000))
        assert text.startswith("run 0: time-out: not done after 2,000 cycles; ")
        assert text.endswith(
            ": still busy after a reset, because its memory has not answered all that is under "
            "way; load its bitstream again"
        )
        with pytest.raises(DeviceError, match=r"^x: still busy after a reset"):
            ProvenCore(transport.cores[0], "x").reset()


@pytest.mark.parametrize("kind", ["read", "write"])
def test_an_error_of_the_memory_is_one_line_and_the_next_run_is_right(kind):
    x = images(GRAPH, 2)
    # Pages: image (as many as it takes), scratch, input and output of both places.
    image_pages = -(-len(IMAGE.payload) // PAGE)
    pages = [image_pages + 1 + page for page in range(4)]
    address = dram.BASE + PAGE * (pages[2] if kind == "read" else pages[3])
    with rtl_transport(CONFIG, timing=MemoryTiming(**{f"error_{kind}": address})) as transport:
        driver = Driver(transport)
        assert re.fullmatch(
            rf"run 1: a memory {kind} answered an error at address {address:#x}; the newest layer "
            rf"was '\w+'",
            refusal(driver),
        )
        assert status(transport.cores[0]) == 0
        np.testing.assert_array_equal(outputs(driver, x), expected(x))  # in the first place


def test_python_does_not_slow_the_clock_down_while_a_driver_waits():
    cycles = 400_000
    with rtl_transport(CONFIG) as transport:
        before, started = transport.state().cycle, time.perf_counter()
        assert not transport.cores[0].wait(cycles)
        seconds = time.perf_counter() - started
        assert 0 <= transport.state().cycle - before - cycles < 8
    print(f"{cycles / seconds:,.0f} cycles a second")
    assert cycles / seconds > LEAST_SPEED


def test_memory_keeps_any_bytes_and_only_those():
    rng = np.random.default_rng(1)
    with rtl_transport(CONFIG) as transport:
        whole = transport.allocate(1000)
        content = rng.integers(0, 256, 1000, np.uint8)
        whole.write(content)
        for offset, size in ((0, 1), (3, 7), (13, 100), (992, 8)):
            part = rng.integers(0, 256, size, np.uint8)
            transport.ask(Request.PUT, 0, offset, part.tobytes())
            content[offset:][:size] = part
            np.testing.assert_array_equal(whole.read(), content)


def test_requests_that_make_no_sense_are_refused_and_harm_nothing():
    with rtl_transport(CONFIG, memory_bytes=PAGE) as transport:
        for arguments, text in (
            ((Request.READ, 1), "there is no core 1, but 1 from 0 on"),
            ((99, 0), "there is no request 99"),
            ((Request.PUT, 0, 0), "0 bytes at 0 do not lie in memory, which has 4096"),
            ((Request.PUT, 0, 4095, b"ab"), "2 bytes at 4095 do not lie in memory, which has 4096"),
            ((Request.GET, 0, 0, b"\0"), "unpack requires a buffer of 4 bytes"),
        ):
            with pytest.raises(DeviceError) as error:
                transport.ask(*arguments)
            assert str(error.value) == f"{transport.name}: {text}"
        assert transport.state().violations == 0


def test_a_new_client_takes_the_place_of_the_first():
    with rtl_transport(CONFIG) as first:
        host, port = first.name.removeprefix("rtl://").split(":")
        with closing(RemoteTransport(host, int(port))) as second:
            assert second.state().cores == 1
            with pytest.raises(DeviceError) as error:
                first.state()
        assert str(error.value) == (
            f"{first.name}: the simulation has ended, or another driver has taken this one's "
            f"place; use one driver at a time"
        )


def test_a_breach_of_the_protocol_is_told_at_the_end():
    def breach():
        with rtl_transport(CONFIG) as transport:
            core = transport.cores[0]
            core.write(Register.PROGRAM_BYTES, IMAGE.program_bytes)
            core.write(Register.IMAGE_BASE, (dram.BASE + 4) & 0xFFFF_FFFF)
            core.write(Register.IMAGE_BASE + 4, dram.BASE >> 32)
            core.write(Register.CONTROL, Control.START)
            core.wait(500)

    with pytest.raises(DeviceError, match=r"^rtl: \d+ violations of the AXI4 protocol; "):
        breach()


def test_a_place_where_nothing_serves_is_one_line():
    with serve(CONFIG) as port:
        pass
    with pytest.raises(DeviceError) as error:
        RemoteTransport(HOST, port)
    assert str(error.value) == (
        f"rtl://{HOST}:{port}: no simulation answers there (Connection refused); start one, or "
        f"correct host and port"
    )


def simulators():
    """Processes that this one has started."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(child) for path in lists for child in path.read_text().split()}


def test_a_simulation_does_not_outlive_the_block():
    before = simulators()
    with serve(CONFIG):
        started = simulators() - before
        assert len(started) == 1
    assert not simulators() & started


ORPHANING = """
import os, signal
from hw.spec.config import named_config
from sim.cosim import serve
from tests.sim.test_cosim import simulators

with serve(named_config("test")):
    print(*simulators(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_simulation_does_not_outlive_the_process_that_started_it():
    done = subprocess.run([sys.executable, "-c", ORPHANING], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (orphan,) = done.stdout.split()
    command = Path("/proc") / orphan / "cmdline"
    end = time.monotonic() + 30
    while command.exists() and command.read_bytes() and time.monotonic() < end:
        time.sleep(0.2)
    assert not command.exists() or not command.read_bytes()  # gone, or not yet reaped


@pytest.mark.parametrize(
    "kinds", [("write", "wait"), pytest.param(("read",), marks=pytest.mark.slow)]
)
def test_whichever_access_is_lost_repeated_or_misread_the_outputs_are_right_or_refused(kinds):
    graph = small_graphs.one_conv()
    image, x = compile_graph(graph, CONFIG), images(graph, 4)
    answers = reference(graph, x)[graph.outputs[0].name]
    with rtl_transport(CONFIG) as transport:

        def use(plan):
            faulty = FaultyTransport(transport, plan)
            drivers = Driver(faulty), Driver(faulty)
            for driver, first in zip((*drivers, drivers[0]), (0, 2, 1), strict=True):
                got = outputs(driver, x[first:][:2], image)
                np.testing.assert_array_equal(got, answers[first:][:2])

        clean, refused = Plan(), 0
        use(clean)
        plans = [p for p in each_fault(clean.seen, bits=(1, 2, 8)) if clean.seen[p.place] in kinds]
        for plan in plans:
            try:
                use(plan)
            except DeviceError:
                refused += 1
        assert 20 < refused < len(plans) - 20
        assert transport.state().violations == 0
