import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn.eda.timing.nets import Nets
from qnn.eda.timing.pins import CHAINS, DIRECT, PinKind

BEGINS = [
    PinKind.LUT_O6,
    PinKind.LUT_O5,
    PinKind.FF_Q,
    PinKind.CARRY_OUT,
    PinKind.MUX_OUT,
    PinKind.DSP,
    PinKind.BLOCK_RAM,
]
ENDS = [pin for pin in PinKind if pin >= PinKind.LUT and pin is not PinKind.CARRY_CI]
WAYS = st.tuples(
    *(st.integers(-100, 100), st.integers(-300, 300), st.integers(1, 10_000)),
    *(st.sampled_from(BEGINS), st.sampled_from(ENDS)),
)


@pytest.fixture(params=["-1", "-2"])
def nets(request):
    return Nets.load(request.param)


@given(way=WAYS)
def test_a_net_takes_a_time_of_some_nanoseconds(way):
    assert 0 <= Nets.load("-1").delay(*way) < 15


@given(way=WAYS, further=st.integers(0, 50), loads=st.integers(0, 1000))
def test_no_net_is_faster_for_a_longer_way_or_more_loads(way, further, loads):
    nets = Nets.load("-1")
    dx, dy, fan_out, begin, end = way
    middle = nets.delay(dx, dy, fan_out, begin, end, direct=False)
    for other in ((abs(dx) + further, dy, fan_out), (dx, abs(dy) + further, fan_out + loads)):
        assert nets.delay(*other, begin, end, direct=False) >= middle - 1e-9


@given(way=WAYS)
def test_a_direction_is_as_long_as_its_opposite(way):
    dx, dy, *rest = way
    nets = Nets.load("-1")
    assert nets.delay(dx, dy, *rest) == nets.delay(-dx, -dy, *rest)


@given(ways=st.lists(WAYS, min_size=1, max_size=8))
def test_many_nets_are_each_as_one_alone(ways):
    nets = Nets.load("-2")
    together = nets.delay(*np.array(ways).T)
    assert together == pytest.approx(np.array([nets.delay(*way) for way in ways]))


@pytest.mark.parametrize("pair", [*DIRECT, *CHAINS])
def test_a_slice_joins_faster_than_the_fabric(nets, pair):
    below = 1 if pair in CHAINS else 0
    joined = nets.delay(0, below, 1, *pair)
    assert joined < nets.delay(0, below, 1, *pair, direct=False)


def test_the_faster_grade_has_the_ratio_of_its_cells():
    way = (3, 10, 7, PinKind.FF_Q, PinKind.LUT)
    slow, fast = Nets.load("-1").delay(*way), Nets.load("-2").delay(*way)
    assert fast / slow == pytest.approx(0.822)
