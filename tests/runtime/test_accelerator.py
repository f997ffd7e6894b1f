"""What the accelerator's methods refuse of what they are called with."""

import numpy as np
import pytest

from qnn.design import compile
from qnn.errors import DeviceError
from qnn.ir.graph import Graph, Output
from qnn.runtime.accelerator import Accelerator
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


def test_a_network_that_gives_no_classes_is_told_before_its_labels():
    x = small_graphs.image()
    first, second = small_graphs.conv("a", x, 4), small_graphs.conv("b", x, 5)
    outputs = (Output("a", (4, 6, 5)), Output("b", (5, 6, 5)))
    two = compile(Graph((x, first, second), outputs), "test").artifact
    one = DESIGN.artifact
    for image, labels, text in (
        (two, np.zeros(7, int), "2 outputs of shapes ((4, 6, 5), (5, 6, 5))"),
        (one, np.full((2, 10), 0.5), "one of shape (10,) for the task 'regression'"),
    ):
        with pytest.raises(DeviceError) as error:
            Accelerator(image, FakeBoard(image)).validate(SOME[0], labels)
        assert str(error.value) == f"validate needs one output of classes, not {text}; use execute"


@pytest.mark.parametrize("case", CASES)
def test_what_would_measure_nothing_is_refused(case):
    call, text = CASES[case]
    with pytest.raises(DeviceError) as error:
        call(Accelerator(DESIGN.artifact, FakeBoard(DESIGN.artifact)))
    assert str(error.value) == text
