from hypothesis import given
from hypothesis import strategies as st

from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Op
from hw.spec.timing import QUEUE_DEPTH
from qnn.compiler.hoist_loads import hoist_loads
from qnn.compiler.program import Instruction, Span

SPANS = st.builds(
    lambda memory, start, words: Span(memory, start, start + words),
    st.sampled_from((Buffer.FEATURES, Buffer.WEIGHTS, Region.SCRATCH)),
    st.integers(0, 12),
    st.integers(1, 4),
)
INSTRUCTIONS = st.builds(
    lambda op, reads, writes: Instruction(op=op, fields={}, reads=reads, writes=writes),
    st.sampled_from((Op.LOAD, Op.STORE, Op.CONV)),
    st.tuples(SPANS),
    st.tuples(SPANS),
)


def depends(later, earlier):
    return any(
        a.memory is b.memory and a.start < b.stop and b.start < a.stop
        for one, other in (
            (later.reads, earlier.writes),
            (later.writes, earlier.reads),
            (later.writes, earlier.writes),
        )
        for a in one
        for b in other
    )


@given(st.lists(INSTRUCTIONS, max_size=30))
def test_what_depends_keeps_its_order_and_so_does_every_engine(program):
    moved = hoist_loads(program)
    places = {id(instruction): place for place, instruction in enumerate(moved)}
    order = [places[id(instruction)] for instruction in program]
    assert sorted(order) == list(range(len(program)))
    for late, later in enumerate(program):
        for early, earlier in enumerate(program[:late]):
            if depends(later, earlier) or later.engine == earlier.engine:
                assert order[early] < order[late]


def load(start):
    return Instruction(op=Op.LOAD, fields={}, writes=(Span(Buffer.FEATURES, start, start + 1),))


def test_a_computation_is_not_kept_from_its_queue_by_loads_of_later_ones():
    compute = Instruction(op=Op.CONV, fields={}, reads=(Span(Buffer.FEATURES, 99, 100),))
    program = [compute, *(load(number) for number in range(QUEUE_DEPTH + 3))]
    assert hoist_loads(program).index(compute) == QUEUE_DEPTH
