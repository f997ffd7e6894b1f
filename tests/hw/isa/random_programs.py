"""Hypothesis strategies of instructions with any value in every field."""

from hypothesis import strategies as st

from hw.spec.isa.encoding import CLASSES, Instruction
from hw.spec.isa.header import TAG_BITS, Engine, Op
from hw.spec.isa.members import Member, members
from hw.spec.isa.program import Program

ENGINES = st.frozensets(st.sampled_from(Engine))


def _values(name: str, member: Member) -> st.SearchStrategy:
    if member.kind is not int:
        return st.sampled_from(list(member.kind)) if member.kind is not bool else st.booleans()
    field = member.fields(name)[0]
    numbers = st.integers(field.low, field.high)
    return numbers if member.count is None else st.tuples(*[numbers] * member.count)


@st.composite
def instructions(draw) -> Instruction:
    op = draw(st.sampled_from(Op))
    cls = CLASSES[op]
    values = {name: draw(_values(name, member)) for name, member in members(cls).items()}
    return cls(
        op=op,
        tag=draw(st.integers(0, (1 << TAG_BITS) - 1)),
        waits=draw(ENGINES),
        signals=draw(ENGINES),
        **values,
    )


def programs() -> st.SearchStrategy[Program]:
    return st.lists(instructions(), max_size=4).map(lambda found: Program(tuple(found)))
