"""Images whose program is altered, for tests that plant a fault."""

from collections.abc import Iterable
from dataclasses import replace

from hw.spec.image import Image
from hw.spec.isa.encoding import Instruction
from hw.spec.isa.program import Program


def with_program(image: Image, instructions: Iterable[Instruction]) -> Image:
    """``image`` with another program of any length, before the same data."""
    code = Program(tuple(instructions)).encode()
    payload = code + image.payload[image.program_bytes :]
    return replace(image, payload=payload, program_bytes=len(code))


def with_members(image: Image, index: int, **members: object) -> Image:
    """``image`` with some members of one instruction set."""
    instructions = list(image.program)
    instructions[index] = replace(instructions[index], **members)
    return with_program(image, instructions)
