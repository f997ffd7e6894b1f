"""The driver against accelerators that are software: order, caches, and every way to fail."""

import re
from dataclasses import replace

import numpy as np
import pytest

from hw.spec.axi import PAGE_BYTES
from hw.spec.config import named_config
from hw.spec.registers import Register, Status
from qnn.compiler import compile_graph
from qnn.errors import DeviceError
from qnn.ir.reference import reference
from qnn.runtime.driver import Driver, memory_bytes
from qnn.runtime.proven import RESET_POLLS, STALE_INTERRUPTS
from qnn.runtime.tensors import pack_inputs, unpack_outputs
from tests.compiler import small_graphs
from tests.graphs import images
from tests.runtime.board import CYCLES, FakeBoard, FakeBuffer, Garbage

CONFIG = named_config("test")
GRAPH = small_graphs.residual()
IMAGE = compile_graph(GRAPH, CONFIG, 2)
HUNG = "the newest layer was 'c'; check the device's clock and memory"


def outputs(driver, x):
    run = driver.run(IMAGE, pack_inputs(IMAGE, x))
    return unpack_outputs(IMAGE, run.outputs, len(x))[0], run.cycles


def expected(x):
    return reference(GRAPH, x)[GRAPH.outputs[0].name]


def refusal(driver, runs=3):
    with pytest.raises(DeviceError) as error:
        outputs(driver, images(GRAPH, 2 * runs))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("cores", [1, 2, 4])
@pytest.mark.parametrize("runs", [1, 2, 3, 9])
def test_outputs_are_those_of_the_reference(cores, runs):
    board, x = FakeBoard(IMAGE, cores=cores), images(GRAPH, 2 * runs - 1)
    got, cycles = outputs(Driver(board), x)
    np.testing.assert_array_equal(got, expected(x))
    assert cycles == (CYCLES,) * runs
    started = [core.log.count("start") for core in board.cores]
    assert started == [len(range(core, runs, cores)) for core in range(cores)]


def test_no_runs_are_no_outputs():
    run = Driver(FakeBoard(IMAGE)).run(IMAGE, np.zeros((0, IMAGE.input_bytes), np.uint8))
    assert run.outputs.shape == (0, IMAGE.output_bytes)
    assert run.cycles == ()


def test_an_input_of_another_size_is_refused_before_it_is_copied():
    board, size = FakeBoard(IMAGE), IMAGE.input_bytes
    with pytest.raises(ValueError, match="pack_inputs") as error:
        Driver(board).run(IMAGE, np.zeros((1, size + 1), np.uint8))
    assert str(error.value) == (
        f"a run needs an input of {size} bytes, not uint8 ({size + 1},); pack images with "
        f"pack_inputs"
    )
    assert board.cores[0].log == ["reset", "reset"]


def test_the_next_inputs_are_taken_and_the_last_outputs_given_while_a_run_is_under_way():
    board, order = FakeBoard(IMAGE), []
    core = board.cores[0]
    core.log = order

    def inputs():
        for number, data in enumerate(pack_inputs(IMAGE, images(GRAPH, 8))):
            order.append(f"input {number}")
            yield data

    for number, _ in enumerate(Driver(board).stream(IMAGE, inputs())):
        order.append(f"output {number}")
    assert order == [
        *("reset", "input 0", "start", "input 1", "done", "start", "output 0"),
        *("input 2", "done", "start", "output 1", "input 3", "done", "start", "output 2"),
        *("done", "output 3"),
    ]


def test_the_image_is_loaded_once(monkeypatch):
    board, written = FakeBoard(IMAGE), []
    original = FakeBuffer.write

    def write(self, data):
        written.append(len(data))
        original(self, data)

    monkeypatch.setattr(FakeBuffer, "write", write)
    driver = Driver(board)
    for _ in range(3):
        outputs(driver, images(GRAPH, 2))
    assert written == [len(IMAGE.payload)] + 3 * [IMAGE.input_bytes]


def test_another_image_takes_the_place_of_the_first():
    graph = small_graphs.one_conv()
    image = compile_graph(graph, CONFIG)
    size = 40_000
    board = FakeBoard(IMAGE, image, memory_bytes=size)
    driver = Driver(board)
    x = images(GRAPH, 4)
    np.testing.assert_array_equal(outputs(driver, x)[0], expected(x))
    y = images(graph, 2)
    run = driver.run(image, pack_inputs(image, y))
    got = unpack_outputs(image, run.outputs, 2)[0]
    np.testing.assert_array_equal(got, reference(graph, y)[graph.outputs[0].name])


def test_without_a_flush_the_device_does_not_see_the_image(monkeypatch):
    monkeypatch.setattr(FakeBuffer, "flush", lambda self: None)
    with pytest.raises(Garbage, match=r"^the image is not in memory$"):
        outputs(Driver(FakeBoard(IMAGE)), images(GRAPH, 4))


def test_without_invalidation_the_host_does_not_see_the_outputs(monkeypatch):
    monkeypatch.setattr(FakeBuffer, "invalidate", lambda self: None)
    got, _ = outputs(Driver(FakeBoard(IMAGE)), images(GRAPH, 4))
    assert not np.array_equal(got, expected(images(GRAPH, 4)))


def test_an_interrupt_that_is_not_wired_only_costs_time():
    board, x = FakeBoard(IMAGE), images(GRAPH, 4)
    board.cores[0].silent = True
    np.testing.assert_array_equal(outputs(Driver(board), x)[0], expected(x))


def test_interrupts_of_earlier_runs_are_passed_over():
    board, x = FakeBoard(IMAGE), images(GRAPH, 4)
    board.cores[0].stale = STALE_INTERRUPTS
    np.testing.assert_array_equal(outputs(Driver(board), x)[0], expected(x))


def test_interrupts_without_an_end_are_a_time_out():
    board = FakeBoard(IMAGE)
    board.cores[0].stale = STALE_INTERRUPTS + 1
    assert refusal(Driver(board, limit=70)) == (
        f"board: run 0: time-out: not done after 70 cycles; {HUNG}"
    )


def test_another_configuration_is_refused_before_anything_is_written():
    other = replace(CONFIG, columns=4)
    board = FakeBoard(replace(IMAGE, config=other), cores=2)
    assert refusal(Driver(board)) == (
        f"board core 0: the image is for {CONFIG} (fingerprint {CONFIG.fingerprint:016x}), but "
        f"the device has fingerprint {other.fingerprint:016x}; compile the model for the device's "
        "configuration, by 'qnn compile --config BUILD' with the device's build"
    )
    assert [core.registers for core in board.cores] == [{}, {}]


def test_a_device_of_another_kind_is_refused_before_anything_is_written():
    board = FakeBoard(IMAGE)
    board.identity[Register.MAGIC] = 0
    assert refusal(Driver(board)).startswith("board: its first register reads 0x00000000, but ")
    assert board.cores[0].registers == {}


def test_an_image_that_is_too_large_for_the_memory_is_refused():
    board = FakeBoard(IMAGE, memory_bytes=8192)
    size = IMAGE.output_bytes
    text = rf"board: the image needs a region of {size} bytes, but of 8,192 bytes of memory only"
    assert re.fullmatch(rf"{text} \d+ are left; give it more", refusal(Driver(board)))


@pytest.mark.parametrize("cores", [1, 3])
def test_the_memory_that_an_image_takes_is_known_before(cores):
    needed = memory_bytes(IMAGE, cores)
    Driver(FakeBoard(IMAGE, cores=cores, memory_bytes=needed)).load(IMAGE)
    with pytest.raises(DeviceError, match=r"are left; give it more$"):
        Driver(FakeBoard(IMAGE, cores=cores, memory_bytes=needed - PAGE_BYTES)).load(IMAGE)


def test_memory_that_is_not_on_a_page_is_refused(monkeypatch):
    monkeypatch.setattr("tests.runtime.board.BASE", 0x7_0000_0800)
    assert refusal(Driver(FakeBoard(IMAGE))) == (
        "board: memory must start at a multiple of 4096, not at 0x700000800; give it whole pages"
    )


def test_a_hung_run_is_one_line_and_leaves_the_accelerators_reset():
    board = FakeBoard(IMAGE, cores=2)
    board.cores[1].hung = True
    driver = Driver(board, limit=5000)
    assert refusal(driver) == (
        f"board core 1: run 1: time-out: not done after 5,000 cycles; {HUNG}"
    )
    assert [core.log[-1] for core in board.cores] == ["reset", "reset"]
    assert set(board.waits) == {5000}
    board.cores[1].hung, x = False, images(GRAPH, 7)
    np.testing.assert_array_equal(outputs(driver, x)[0], expected(x))


def test_without_a_limit_a_run_has_far_more_cycles_than_it_needs():
    boards = [FakeBoard(IMAGE, cores=cores) for cores in (1, 2)]
    for board in boards:
        outputs(Driver(board), images(GRAPH, 2))
    (one,), (two,) = (board.waits for board in boards)
    assert two == 2 * one
    assert one > 20_000


def test_a_memory_error_is_one_line_and_the_next_run_is_right():
    board = FakeBoard(IMAGE)
    driver = Driver(board)
    board.cores[0].failure = 2
    assert refusal(driver) == (
        "board: run 0: a memory write answered an error at address 0x1000; the newest layer was 'c'"
    )
    x = images(GRAPH, 4)
    np.testing.assert_array_equal(outputs(driver, x)[0], expected(x))


def test_an_accelerator_that_does_not_stop_is_said_with_what_came_first():
    board = FakeBoard(IMAGE)
    board.cores[0].hung = board.cores[0].stuck = True
    driver = Driver(board, limit=9)
    stuck = (
        "board: still busy after a reset, because its memory has not answered all that is under "
        "way; load its bitstream again"
    )
    assert refusal(driver) == (
        f"board: run 0: time-out: not done after 9 cycles; {HUNG}; then {stuck}"
    )
    assert refusal(driver) == stuck
    assert RESET_POLLS > 100


def test_a_busy_device_is_reset_before_its_memory_is_touched():
    board, x = FakeBoard(IMAGE), images(GRAPH, 4)
    core = board.cores[0]
    first = Driver(board)
    next(first.stream(IMAGE, pack_inputs(IMAGE, x)))  # and nobody asks for the rest
    core.registers[Register.STATUS] |= int(Status.BUSY)
    core.log.clear()
    board.free()
    np.testing.assert_array_equal(outputs(Driver(board), x)[0], expected(x))
    assert core.log[:2] == ["reset", "start"]


def test_a_stream_that_is_left_stops_the_accelerators():
    board = FakeBoard(IMAGE, cores=2)
    stream = Driver(board).stream(IMAGE, pack_inputs(IMAGE, images(GRAPH, 12)))
    next(stream)
    stream.close()
    assert [core.status for core in board.cores] == [0, 0]
    assert board.cores[1].log == ["reset", "start", "reset"]


def test_an_error_of_the_inputs_stops_the_accelerators_and_stays_what_it_was():
    board = FakeBoard(IMAGE)

    def inputs():
        yield pack_inputs(IMAGE, images(GRAPH, 2))[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(Driver(board).stream(IMAGE, inputs()))
    assert board.cores[0].status == 0


def test_close_lets_go_of_the_device():
    board = FakeBoard(IMAGE)
    Driver(board).close()
    assert board.closed


def test_a_second_stream_is_refused_while_one_is_under_way():
    board, x = FakeBoard(IMAGE), images(GRAPH, 6)
    driver = Driver(board)
    stream = driver.stream(IMAGE, pack_inputs(IMAGE, x))
    first = next(stream)
    assert refusal(driver) == (
        "board: another stream of runs is under way; take all of its runs or close it first"
    )
    rows = np.array([first.output, *(run.output for run in stream)])
    np.testing.assert_array_equal(unpack_outputs(IMAGE, rows, 6)[0], expected(x))
    np.testing.assert_array_equal(outputs(driver, x)[0], expected(x))


def test_close_stops_the_accelerators_before_their_memory_goes():
    board = FakeBoard(IMAGE)
    driver, core = Driver(board), board.cores[0]
    stream = driver.stream(IMAGE, pack_inputs(IMAGE, images(GRAPH, 6)))
    next(stream)
    driver.close()
    assert (core.status, board.closed) == (0, True)
    core.log.clear()
    stream.close()
    assert core.log == []


def test_a_device_that_does_not_stop_is_closed_all_the_same():
    board = FakeBoard(IMAGE)
    driver = Driver(board)
    next(stream := driver.stream(IMAGE, pack_inputs(IMAGE, images(GRAPH, 6))))
    board.cores[0].stuck = True
    with pytest.raises(DeviceError, match=r"^board: still busy after a reset"):
        driver.close()
    assert board.closed
    stream.close()
