"""Fences for a program: the latest start that is needed, so that layers overlap."""

from hw.spec.config import SvpeConfig
from qnn.compiler.fences import Running
from qnn.compiler.program import Instruction


def set_fences(program: list[Instruction], config: SvpeConfig) -> list[Instruction]:
    """Give each compute instruction the largest fence that is safe."""
    running, result = Running(config), []
    for instruction in program:
        if instruction.engine == "compute":
            instruction = instruction.with_fields(fence=running.limit(instruction.fields))
            running.add(instruction.fields)
        result.append(instruction)
    return result
