"""What the accelerator's methods refuse of what they are called with."""

import numpy as np
import pytest

from qnn.errors import DeviceError
from qnn.runtime.accelerator import Accelerator
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


@pytest.mark.parametrize("case", CASES)
def test_what_would_measure_nothing_is_refused(case):
    call, text = CASES[case]
    with pytest.raises(DeviceError) as error:
        call(Accelerator(DESIGN.artifact, FakeBoard(DESIGN.artifact)))
    assert str(error.value) == text
