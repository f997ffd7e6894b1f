import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.spec.config import CONFIGS
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Op
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer
from hw.spec.timing import QUEUE_DEPTH, TRANSFERS_IN_FLIGHT
from qnn.compiler.hoist_loads import hoist_loads

TEST = CONFIGS["test"]
WORDS = st.integers(0, 12)
COUNTS = st.integers(1, 4)
TRANSFERS = st.builds(
    Transfer,
    op=st.sampled_from((Op.LOAD, Op.STORE)),
    region=st.just(Region.SCRATCH),
    buffer=st.sampled_from((Buffer.FEATURES, Buffer.WEIGHTS)),
    address=WORDS,
    words=COUNTS,
    offset=st.integers(0, 12).map(lambda word: word * Buffer.FEATURES.word_bytes(TEST)),
)


def compute(source, target, words, weight):
    """A 1 x 1 convolution of a row of pixels."""
    return Tiles(
        op=Op.CONV,
        kernel_x=1,
        kernel_y=1,
        blocks=1,
        terms=1,
        passes=1,
        tile_height=1,
        kernel_y_stride=1,
        input_address=source,
        input_height=1,
        input_width=words,
        weight_address=weight,
        output_address=target,
        output_height=1,
        output_width=words,
    )


COMPUTES = st.builds(compute, WORDS, WORDS, COUNTS, WORDS)


def depends(later, earlier):
    return any(
        a.memory is b.memory and a.start < b.stop and b.start < a.stop
        for one, other in (
            (later.reads, earlier.writes),
            (later.writes, earlier.reads),
            (later.writes, earlier.writes),
        )
        for a in one(TEST)
        for b in other(TEST)
    )


@given(st.lists(st.one_of(TRANSFERS, COMPUTES), max_size=30))
def test_what_depends_keeps_its_order_and_so_does_every_engine(program):
    moved = hoist_loads(program, TEST)
    places = {id(instruction): place for place, instruction in enumerate(moved)}
    order = [places[id(instruction)] for instruction in program]
    assert sorted(order) == list(range(len(program)))
    for late, later in enumerate(program):
        for early, earlier in enumerate(program[:late]):
            if depends(later, earlier) or later.engine == earlier.engine:
                assert order[early] < order[late]


def load(start):
    return Transfer(op=Op.LOAD, buffer=Buffer.FEATURES, address=start, words=1)


def test_a_computation_is_not_kept_from_its_queue_by_loads_of_later_ones():
    begun = [compute(99, 100, 1, 0) for _ in range(QUEUE_DEPTH)]
    wait = compute(98, 101, 1, 0)
    program = [*begun, wait, *(load(number) for number in range(3 * QUEUE_DEPTH))]
    moved = hoist_loads(program, TEST)
    place = next(index for index, each in enumerate(moved) if each is wait)
    assert sum(each.op is Op.LOAD for each in moved[:place]) == QUEUE_DEPTH


def test_few_loads_pass_the_first_computations_which_hide_nothing():
    first = compute(99, 100, 1, 0)
    program = [first, *(load(number) for number in range(QUEUE_DEPTH + 3))]
    assert hoist_loads(program, TEST).index(first) == TRANSFERS_IN_FLIGHT


@pytest.mark.parametrize(
    ("before", "passing"), [(QUEUE_DEPTH - 1, TRANSFERS_IN_FLIGHT), (QUEUE_DEPTH, QUEUE_DEPTH)]
)
def test_the_first_computations_are_as_many_as_wait_in_a_queue(before, passing):
    begun = [compute(99, 100, 1, 0) for _ in range(before)]
    last = compute(98, 101, 1, 0)
    program = [*begun, last, *(load(number) for number in range(3 * QUEUE_DEPTH))]
    moved = hoist_loads(program, TEST)
    place = next(index for index, each in enumerate(moved) if each is last)
    assert sum(each.op is Op.LOAD for each in moved[:place]) == passing
