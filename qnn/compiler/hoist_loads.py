"""Loads as early as reads and writes before them allow, so that they overlap computation."""

from typing import NamedTuple

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Span
from hw.spec.isa.encoding import Instruction
from hw.spec.isa.header import Engine, Op
from hw.spec.timing import QUEUE_DEPTH, TRANSFERS_IN_FLIGHT


class _Placed(NamedTuple):
    """An instruction with what it touches, and how many loads may pass it."""

    instruction: Instruction
    reads: tuple[Span, ...]
    writes: tuple[Span, ...]
    most: int


def hoist_loads(program: list[Instruction], config: SvpeConfig) -> list[Instruction]:
    """The same program with each load moved up; executed serially, it gives the same results.

    A load passes whatever touches none of its words, but no other load, and no computation that
    ``QUEUE_DEPTH`` loads have passed: they would keep it from its queue. Fewer pass the first
    computations, which would wait for the others' fetch and transfers with nothing to hide them.
    """
    result: list[_Placed] = []
    passed: list[int] = []  # by loads, of each in `result`
    computes = 0
    for instruction in program:
        computes += instruction.engine is Engine.COMPUTE
        # While the first computations wait for their own data, loads that passed them would take
        # the port.
        most = TRANSFERS_IN_FLIGHT if computes <= QUEUE_DEPTH else QUEUE_DEPTH
        own = _Placed(instruction, instruction.reads(config), instruction.writes(config), most)
        place = len(result)
        if instruction.op is Op.LOAD:
            while place and _may_pass(own, result[place - 1], passed[place - 1]):
                place -= 1
                # Counted on what is passed: it says how many loads stand between it and its place
                # in the queue.
                passed[place] += 1
        result.insert(place, own)
        passed.insert(place, 0)
    return [placed.instruction for placed in result]


def _may_pass(load, other, count):
    engine = other.instruction.engine
    # Loads keep their order, so that what is needed first comes first.
    if engine is Engine.LOAD or (engine is Engine.COMPUTE and count >= other.most):
        return False
    return not (
        _meet(load.writes, other.reads)
        or _meet(load.writes, other.writes)
        or _meet(load.reads, other.writes)
    )


def _meet(spans, others):
    return any(a.meets(b) for a in spans for b in others)
