"""Several cores on one memory: the same integers, and the cycles that the model says."""

import numpy as np
import pytest

from hw.spec.config import named_config
from hw.spec.timing import MAX_BURST_BEATS
from qnn.backend.array.backend import BACKEND as ARRAY
from qnn.compiler import compile_graph
from qnn.design import Design
from qnn.ir.reference import reference
from sim import rtl
from sim.cycles import simulate_cores, simulate_cycles
from sim.cycles.never import NEVER
from sim.cycles.paths import Paths
from sim.verify import verify
from tests.compiler import small_graphs
from tests.graphs import images
from tests.sim.copy_image import copy_image

TEST = named_config("test")


def cycles(timings):
    return [timing.cycles for timing in timings]


@pytest.mark.parametrize("make", small_graphs.ALL, ids=lambda make: make.__name__)
def test_cores_that_have_a_path_each_keep_their_cycles(make):
    image = compile_graph(make(), TEST, 2)
    alone = simulate_cycles(image)
    assert simulate_cores(image, 3, paths=3) == (alone,) * 3
    assert simulate_cores(image, 1, paths=1) == (alone,)


@pytest.mark.parametrize("make", small_graphs.ALL, ids=lambda make: make.__name__)
def test_fewer_paths_take_longer_and_no_core_waits_for_ever(make):
    image = compile_graph(make(), TEST, 2)
    alone = simulate_cycles(image).cycles
    worst = [max(cycles(simulate_cores(image, 4, paths=paths))) for paths in (4, 2, 1)]
    assert worst[0] == alone < worst[1] <= worst[2] <= 4 * alone


@pytest.mark.parametrize("make", small_graphs.ALL, ids=lambda make: make.__name__)
def test_a_memory_of_all_cores_moves_no_more_than_it_can(make):
    image = compile_graph(make(), TEST, 2)
    free = simulate_cores(image, 4, paths=4)
    assert simulate_cores(image, 4, paths=4, memory_bytes_per_cycle=1e9) == free
    longest = MAX_BURST_BEATS * TEST.bus_bytes
    before = max(cycles(free))
    for rate in (8.0, 2.5):
        slow = simulate_cores(image, 4, paths=4, memory_bytes_per_cycle=rate)
        moved = sum(timing.moved_bytes for timing in slow)
        # Programs, inputs and outputs are the same, however long they take.
        assert moved == sum(timing.moved_bytes for timing in free)
        assert max(cycles(slow)) * rate > moved - longest
        assert max(cycles(slow)) >= before
        before = max(cycles(slow))


def bursts(ports, paths, asks):
    """(cycle, port) of ``asks[p]`` bursts of 4 beats of each port p, all ready at once."""
    shared, free, done = Paths(ports, paths), [0] * ports, []
    while any(asks):
        ready = [free[p] if asks[p] else NEVER for p in range(ports)]
        when, port = shared.next(ready)
        shared.begin(port, when, 4)
        shared.end(port, when + 4)
        free[port] = when + 4
        asks[port] -= 1
        done.append((when, port))
    return done


def test_ports_take_turns_burst_by_burst():
    assert bursts(3, 1, [2, 1, 2]) == [(0, 0), (4, 1), (8, 2), (12, 0), (16, 2)]
    assert bursts(3, 2, [2, 1, 2]) == [(0, 0), (0, 1), (4, 2), (4, 0), (8, 2)]
    assert bursts(2, 2, [2, 1]) == [(0, 0), (0, 1), (4, 0)]


@pytest.mark.parametrize(
    ("cores", "paths", "text"),
    [
        (5, 1, "cores must be from 1 to 4, not 5"),
        (0, 1, "cores must be from 1 to 4, not 0"),
        (2, 0, "paths of the memory must be at least 1, not 0"),
    ],
)
def test_counts_that_no_board_has_are_refused(cores, paths, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        rtl.execute(copy_image(TEST), np.zeros((1, 11, 3, 5), int), cores=cores, paths=paths)


@pytest.mark.rtl
@pytest.mark.parametrize(("cores", "paths"), [(2, 1), (4, 1), (4, 2), (4, 4)])
def test_cores_compute_the_same_in_the_cycles_of_the_model(cores, paths):
    graph = small_graphs.concat()
    image = compile_graph(graph, TEST, 2)
    x = images(graph, 2 * cores + 1)  # the last round has one core
    result = rtl.execute(image, x, cores=cores, paths=paths)
    np.testing.assert_array_equal(result.outputs[0], reference(graph, x)["c"])
    expected = cycles(simulate_cores(image, cores, paths=paths))
    assert [run.cycles for run in result.runs] == [*expected, simulate_cycles(image).cycles]


@pytest.mark.rtl
@pytest.mark.parametrize("make", small_graphs.ALL, ids=lambda make: make.__name__)
def test_every_tensor_of_every_core_is_right(make):
    graph = make()
    image = compile_graph(graph, TEST, 2)
    timing = rtl.MemoryTiming.stalled(1)
    for options in ({}, {"timing": timing}):
        design = Design(graph, image, ARRAY)
        report = verify(design, images(graph, 4), "rtl", cores=2, **options)
        assert report.passed, str(report)
    model = tuple(cycles(simulate_cores(image, 2)))
    measured = verify(design, images(graph, 4), "rtl", cores=2).run_cycles
    assert measured == model


@pytest.mark.rtl
def test_a_core_that_stores_into_the_region_of_another_changes_a_guard_byte():
    image = copy_image(TEST, store={"words": 31})
    x = np.zeros((2, 11, 3, 5), int)
    broken = rtl.execute(image, x, cores=2).broken
    assert "240 bytes from the start of 'output 0' (240 bytes); the accelerator wrote" in broken


@pytest.mark.rtl
def test_verify_names_the_image_of_the_core_that_is_wrong():
    graph = small_graphs.one_conv()
    image = compile_graph(graph, TEST)
    x = images(graph, 2)
    expected = {name: tensor.copy() for name, tensor in reference(graph, x).items()}
    expected["c"][1, 2, 3, 4] += 1
    report = verify(Design(graph, image, ARRAY), x, "rtl", expected=expected, cores=2)
    first = report.first
    assert (first.image, first.channel, first.row, first.column) == (1, 2, 3, 4)
    assert report.mismatches == 2  # the tensor, and the output in memory


@pytest.mark.rtl
def test_a_hang_ends_the_round_of_all_cores():
    image = copy_image(TEST, load={"signals": frozenset()})
    result = rtl.execute(image, np.zeros((3, 11, 3, 5), int), cores=2, limit=5000)
    assert [run.failure for run in result.runs] == ["time-out: not done after 5000 cycles"] * 2
    assert all(run.trace.timed_out for run in result.runs)
