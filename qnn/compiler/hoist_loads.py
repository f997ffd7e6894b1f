"""Loads as early as reads and writes before them allow, so that they overlap computation."""

from typing import NamedTuple, TypeAlias

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.encoding import Instruction
from hw.spec.isa.header import Engine, Op
from hw.spec.timing import QUEUE_DEPTH, TRANSFERS_IN_FLIGHT

Memory: TypeAlias = tuple[type, Buffer | Region]


class _Placed(NamedTuple):
    """An instruction with the words that a load must not pass, and how many loads may pass it.

    Members
    -------
    touched, written : first and past the last word, or byte, of each span, by memory
    """

    instruction: Instruction
    engine: Engine | None
    touched: dict[Memory, list[tuple[int, int]]]
    written: dict[Memory, list[tuple[int, int]]]
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
        engine = instruction.engine
        computes += engine is Engine.COMPUTE
        # While the first computations wait for their own data, loads that passed them would take
        # the port.
        most = TRANSFERS_IN_FLIGHT if computes <= QUEUE_DEPTH else QUEUE_DEPTH
        reads, writes = instruction.reads(config), instruction.writes(config)
        touched, written = _by_memory((*reads, *writes)), _by_memory(writes)
        own = _Placed(instruction, engine, touched, written, most)
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
    # Loads keep their order, so that what is needed first comes first.
    if other.engine is Engine.LOAD or (other.engine is Engine.COMPUTE and count >= other.most):
        return False
    return not (_meet(load.written, other.touched) or _meet(load.touched, other.written))


def _by_memory(spans):
    # Sorted once: a load is compared with many instructions, and most of those use other memories.
    found = {}
    for span in spans:
        # A buffer and a region of one number are equal integers, but two memories.
        found.setdefault((type(span.memory), span.memory), []).append((span.start, span.stop))
    return found


def _meet(memories, others):
    return any(
        start < stop and first < end
        for memory, spans in memories.items()
        for start, end in spans
        for first, stop in others.get(memory, ())
    )
