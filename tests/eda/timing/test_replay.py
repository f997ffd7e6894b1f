import numpy as np
import pytest

from qnn.eda.timing.nets import Nets
from qnn.eda.timing.paths import read_paths
from qnn.eda.timing.pins import PinKind
from qnn.eda.timing.replay import grade, replay
from qnn.errors import ArgumentError
from tests.eda.timing.made import path, write


def exact(speed, factor=1.0):
    """A path whose nets take what the model says, times ``factor``."""
    nets = Nets.load(grade(speed))
    ways = (2, 5, 3), (0, 9, 40)
    begins, ends = (PinKind.FF_Q, PinKind.LUT_O6), (PinKind.LUT, PinKind.FF_D)
    alone = nets.delay(*np.array(ways).T, begins, ends)
    taken = np.round(factor * nets.along(alone.sum()) * alone, 3).tolist()
    return path(*((*way, ns) for way, ns in zip(ways, taken, strict=True)), speed=speed)


@pytest.mark.parametrize("speed", ["-1", "-2", "-1LV", "-2LV", "-3"])
def test_paths_that_are_as_the_model_says_have_no_error(tmp_path, speed):
    found = replay(read_paths(write(tmp_path / "paths", [exact(speed)])))
    assert found.all.median == pytest.approx(0, abs=2e-3)
    assert found.all.within == 1


def test_an_error_is_that_of_the_whole_path(tmp_path):
    paths = read_paths(write(tmp_path / "paths", [exact("-1"), exact("-1", 2), exact("-2", 0.5)]))
    found = replay(paths)
    shares = [sum(net.ns for net in each.nets) / each.ns for each in paths]
    # What is reported as twice the estimate is estimated at half of it.
    assert found.devices["xczu3eg -1"].p90 == pytest.approx(0.9 * shares[1] / 2, abs=3e-3)
    assert found.devices["xczu3eg -1"].mean == pytest.approx(-shares[1] / 4, abs=3e-3)
    assert found.devices["xczu3eg -2"].median == pytest.approx(shares[2], abs=3e-3)
    assert found.all.paths == 3


def test_a_grade_of_another_family_is_refused():
    with pytest.raises(ArgumentError) as refused:
        grade("8")
    assert str(refused.value) == (
        "a path needs a speed grade of UltraScale+, as -1 or -2LV, not '8'; correct the file"
    )


def test_a_path_that_is_estimated_at_nothing_is_outside_of_the_interval(tmp_path):
    made = path((0, 0, 1, 0.001))
    # From a multiplexer to the next one, which wires of the slice join.
    made["hops"][0] |= {"cell": "Prop_F7MUX_AB_SLICEL_I0_O", "ns": 0}
    made |= {"data_path_ns": 0.001, "setup": ["Prop_F8MUX_BOT_SLICEL_I0_O", 0]}
    found = replay(read_paths(write(tmp_path / "paths", [made])))
    assert (found.all.mean, found.all.within) == (-1, 0)
