"""Loads as early as reads and writes before them allow, so that they overlap computation."""

from hw.spec.isa.header import Op
from hw.spec.timing import QUEUE_DEPTH
from qnn.compiler.program import Instruction


def hoist_loads(program: list[Instruction]) -> list[Instruction]:
    """The same program, right in the same way when executed serially, with each load moved up.

    A load passes whatever touches none of its words, but no other load, and no computation that
    ``QUEUE_DEPTH`` loads have passed: they would keep it from its queue.
    """
    result: list[Instruction] = []
    passed: list[int] = []  # by loads, of each in `result`
    for instruction in program:
        place = len(result)
        if instruction.op is Op.LOAD:
            while place and _may_pass(instruction, result[place - 1], passed[place - 1]):
                place -= 1
                passed[place] += 1
        result.insert(place, instruction)
        passed.insert(place, 0)
    return result


def _may_pass(load, other, count):
    if other.op is Op.LOAD or (other.engine == "compute" and count >= QUEUE_DEPTH):
        return False
    return not (
        _meet(load.writes, other.reads)
        or _meet(load.writes, other.writes)
        or _meet(load.reads, other.writes)
    )


def _meet(spans, others):
    return any(
        a.memory is b.memory and a.start < b.stop and b.start < a.stop
        for a in spans
        for b in others
    )
