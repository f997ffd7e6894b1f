"""Images that workers share have the report that they have in one run."""

import random
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qnn
from qnn.errors import ModelError
from qnn.farm.done import Done
from qnn.farm.farm import Farm
from sim.verify import verify
from sim.verify_many import OF_ARTIFACT, joined, verify_many
from tests.compiler import small_graphs
from tests.graphs import images

MOST = 7  # images


class AtOnce:
    """Stands for a farm: all in this process, in an order of its own."""

    def __init__(self, workers, seed, failing=()):
        self.workers, self._seed, self._failing = workers, seed, failing

    def run(self, function, items):
        found = []
        for index, item in enumerate(items):
            failure = "its worker died: killed" if index in self._failing else None
            result = None if failure else function(item)
            found.append(Done(index, item, result, failure, 1, 0.0))
        random.Random(self._seed).shuffle(found)
        return iter(found)


@cache
def design(batch):
    return qnn.compile(small_graphs.network(), batch=batch)


@cache
def broken(batch):
    """A design whose epilogue adds one to a channel, so that values differ in each image."""
    sound = design(batch)
    graph = sound.graph
    nodes = [node for node in graph.nodes if hasattr(node, "epilogue")]
    bias = np.array(nodes[0].epilogue.bias)
    bias[0] += 1 << 12
    changed = replace(nodes[0], epilogue=replace(nodes[0].epilogue, bias=bias))
    other = replace(graph, nodes=tuple(changed if n is nodes[0] else n for n in graph.nodes))
    return replace(sound, artifact=qnn.compile(other, batch=batch).artifact)


def pixels(count):
    return images(small_graphs.network(), count)


def in_order(report):
    """The layers' reports by image, as one run of many images gives the outputs at its end."""
    return sorted(report.layers, key=lambda layer: (layer.op in OF_ARTIFACT, layer.image))


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 3), st.integers(1, MOST)), min_size=1),
    st.integers(1, 4),
    st.integers(0, 9),
)
@settings(max_examples=20)
def test_shared_images_have_the_report_of_one_run(asked, workers, seed):
    designs = [(broken if fails else design)(batch) for fails, batch, _ in asked]
    inputs = [pixels(count) for _, _, count in asked]
    told = []
    farm = AtOnce(workers, seed)
    reports = verify_many(designs, inputs, "functional", farm, lambda *at: told.append(at))
    for each, x, report in zip(designs, inputs, reports, strict=True):
        whole = verify(each, x, "functional")
        assert in_order(report) == in_order(whole)
        assert replace(report, layers=()) == replace(whole, layers=())
    assert [report.passed for report in reports] == [not fails for fails, _, _ in asked]
    total = sum(count for _, _, count in asked)
    assert told[-1] == (total, total)
    assert told == sorted(told)


def test_what_an_artifact_claims_is_told_once():
    sound = design(1)
    other = replace(
        sound.artifact,
        outputs=tuple(replace(each, exponent=each.exponent + 1) for each in sound.artifact.outputs),
    )
    (report,) = verify_many(
        [replace(sound, artifact=other)], [pixels(4)], "functional", AtOnce(2, 0)
    )
    whole = verify(replace(sound, artifact=other), pixels(4), "functional")
    assert not report.passed
    assert in_order(report) == in_order(whole)


def test_a_part_that_nobody_could_compare_fails_its_design_alone():
    farm = AtOnce(2, 0, failing=[1])
    first, second = verify_many([design(1)] * 2, [pixels(4)] * 2, "functional", farm)
    assert second.passed
    assert not first.passed
    assert first.failure == "from image 2 on: its worker died: killed"
    assert {layer.image for layer in first.layers} == {0, 1}


def test_cycles_are_means_over_all_images_and_speed_is_that_of_all():
    whole = verify(design(1), pixels(1), "functional")
    one, two = (
        replace(
            whole,
            layers=tuple(replace(layer, image=n) for n in range(count) for layer in whole.layers),
            run_cycles=(cycles,) * count,
            layer_cycles={"a": cycles / 2, "b": cycles / 2},
            cycles_per_second=speed,
            build_seconds=seconds,
        )
        for count, cycles, speed, seconds in ((1, 100, 50.0, 0.0), (3, 200, 100.0, 9.0))
    )
    report = joined([(1, two), (0, one)])
    assert report.run_cycles == (100, 200, 200, 200)
    assert report.layer_cycles == {"a": 87.5, "b": 87.5}
    assert report.cycles_per_second == 700 / 8
    assert report.build_seconds == 9.0


def test_inputs_are_refused_before_a_worker_has_them():
    with pytest.raises(ModelError):
        verify_many([design(1)], [pixels(2)[:, :1]], "functional", AtOnce(1, 0))


def test_workers_of_their_own_find_what_differs():
    designs, inputs = [design(2), broken(1)], [pixels(3), pixels(2)]
    with Farm(2) as farm:
        reports = verify_many(designs, inputs, "functional", farm)
    for each, x, report in zip(designs, inputs, reports, strict=True):
        assert in_order(report) == in_order(verify(each, x, "functional"))
    assert [report.passed for report in reports] == [True, False]
