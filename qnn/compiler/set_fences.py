"""Fences for a program: the latest start that is needed, so that layers overlap."""

from hw.spec.config import SvpeConfig
from hw.spec.isa.encoding import Instruction
from hw.spec.isa.tiles import Tiles
from qnn.compiler.fences import Running


def set_fences(program: list[Instruction], config: SvpeConfig) -> list[Instruction]:
    """Give each compute instruction the largest fence that is safe."""
    # Last of all passes that move instructions: a fence is right for one order alone.
    running, result = Running(config), []
    for instruction in program:
        if isinstance(instruction, Tiles):
            fence = min(running.limit(instruction), running.order(instruction))
            instruction = instruction.having(fence=fence)
            running.add(instruction)
        result.append(instruction)
    return result
