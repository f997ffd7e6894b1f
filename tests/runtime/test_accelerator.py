"""What the accelerator's methods refuse of what they are called with."""

import numpy as np
import pytest

from qnn.design import compile
from qnn.errors import DeviceError
from qnn.host.program import HostProgram
from qnn.ir.graph import Graph, Output
from qnn.ir.reference import reference
from qnn.runtime.accelerator import Accelerator
from qnn.runtime.arrays import read_test_set
from tests.compiler import small_graphs
from tests.runtime.board import FakeBoard
from tests.runtime.test_folder import DESIGN, IMAGES

SOME = (IMAGES[:2], np.zeros(2, int))
CASES = {
    "a test of no image": (
        lambda a: a.throughput_test(0),
        "throughput_test needs a batch_size of at least 1, not 0; leave it out",
    ),
    "parts of no image": (
        lambda a: a.validate(*SOME, batch_size=0),
        "validate needs a batch_size of at least 1, not 0; leave it out",
    ),
    "no image": (
        lambda a: a.validate(IMAGES[:0], np.zeros(0, int)),
        "validate needs at least one image; give some",
    ),
    "too few labels": (
        lambda a: a.validate(SOME[0], SOME[1][:1]),
        "validate needs a label for each of 2 images, not 1; pair them",
    ),
    "one label for all": (
        lambda a: a.validate(SOME[0], np.array(3)),
        "validate needs a label for each of 2 images, not a single number; pair them",
    ),
}


def two_outputs(host=None):
    x = small_graphs.image()
    first, second = small_graphs.conv("a", x, 4), small_graphs.conv("b", x, 5)
    outputs = (Output("a", (4, 6, 5)), Output("b", (5, 6, 5)))
    host = host and HostProgram.parse(host, 2)
    return compile(Graph((x, first, second), outputs, host), "test")


def test_a_network_that_gives_no_classes_is_told_before_its_labels():
    two, one = two_outputs().artifact, DESIGN.artifact
    for image, labels, text in (
        (
            two,
            np.zeros(7, int),
            "a dictionary of labels by the names of results, which are a, b, not one array; say "
            "which result they are for",
        ),
        (two, {"c": 0}, "labels of results, which are a, b, not of 'c'; correct the name"),
        (
            one,
            np.full((2, 10), 0.5),
            "one output of classes, not one of shape (10,) for the task 'regression'; use execute",
        ),
    ):
        with pytest.raises(DeviceError) as error:
            Accelerator(image, FakeBoard(image)).validate(SOME[0], labels)
        assert str(error.value) == f"validate needs {text}"


@pytest.mark.parametrize(
    ("host", "names"),
    [
        (None, ("a", "b")),
        ('%2 = softmax(%0; 1)\nreturn {"near": 2, "far": 1}', ("near", "far")),
        ("%2 = argmax(%0; 1)\nreturn [0, 2, 1]", ("output_0", "output_1", "b")),
    ],
    ids=["a tuple", "a dictionary", "a class beside its scores"],
)
def test_each_of_several_results_is_validated_by_its_name(host, names, tmp_path):
    design = two_outputs(host)
    (x,) = design.graph.inputs
    pixels = np.random.default_rng(0).integers(x.type.low, x.type.high + 1, (3, *x.shape))
    tensors = reference(design.graph, pixels)
    first, last = tensors["a"].argmax(1), tensors["b"].argmax(1)
    wrong = last.copy()
    wrong[0, 0, 0] = (wrong[0, 0, 0] + 1) % 5
    accelerator = Accelerator(design.artifact, FakeBoard(design.artifact))
    given = np.ldexp(np.moveaxis(pixels, 1, 3).astype(float), -x.type.exponent)
    lines = []
    found = accelerator.validate(given, {names[0]: first, names[-1]: wrong}, 2, lines.append)
    assert found == {names[0]: 100.0, names[-1]: pytest.approx(100 * 89 / 90)}
    assert lines[-3:] == [
        f"batch 2 / 2 : {names[-1]} total OK 89 NOK 1",
        f"Final accuracy of {names[0]}: 100.000000",
        f"Final accuracy of {names[-1]}: 98.888889",
    ]
    number = len(names) - 1
    np.savez(tmp_path / "set.npz", **{"x_test": given, f"y_test_{number}": wrong})
    images, labels = read_test_set(design.artifact, tmp_path / "set.npz")
    assert accelerator.validate(images, labels, 3, lines.append) == {names[-1]: found[names[-1]]}


@pytest.mark.parametrize("case", CASES)
def test_what_would_measure_nothing_is_refused(case):
    call, text = CASES[case]
    with pytest.raises(DeviceError) as error:
        call(Accelerator(DESIGN.artifact, FakeBoard(DESIGN.artifact)))
    assert str(error.value) == text
