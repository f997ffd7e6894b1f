"""Fences: a layer's first read waits until what it needs of the layer before has landed."""

from hw.spec.config import SvpeConfig
from hw.spec.timing import dependent_fence
from qnn.compiler.program import Instruction


def set_fences(program: list[Instruction], config: SvpeConfig) -> list[Instruction]:
    """Give each compute instruction that reads a running one's result the fence for it.

    Behind an instruction with that fence everything older has landed.
    """
    result, running = [], []
    for instruction in program:
        if instruction.engine == "compute":
            if _meet(instruction.reads, running):
                instruction = instruction.with_fields(fence=dependent_fence(config))
                running = []
            running += instruction.writes
        result.append(instruction)
    return result


def _meet(reads, writes):
    return any(
        a.memory is b.memory and a.start < b.stop and b.start < a.stop
        for a in reads
        for b in writes
    )
