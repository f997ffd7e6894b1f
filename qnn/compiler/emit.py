"""The image of a scheduled network: program, weights and epilogue numbers as bytes."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Region
from hw.spec.isa.encoding import Instruction
from hw.spec.isa.encoding import encode as encode_word
from hw.spec.isa.header import INSTRUCTION_BYTES
from hw.spec.isa.transfer import Transfer
from qnn.compiler.lower import GroupData, Work
from qnn.compiler.schedule import Memory
from qnn.errors import CompileError

ALIGNMENT = 256  # of the weights behind the program; bursts start on whole lines


def data_section(works: Sequence[Work | GroupData], config: SvpeConfig) -> tuple[bytes, Memory]:
    """Weights, then epilogue numbers, in the order of the works; offsets from its start."""
    weights = b"".join(work.weights for work in works)
    weights += bytes(-len(weights) % ALIGNMENT)
    numbers = b"".join(work.parameters for work in works)
    memory = Memory(
        weight_offsets=_starts(0, (len(work.weights) for work in works)),
        parameter_offsets=_starts(len(weights), (len(work.parameters) for work in works)),
    )
    return weights + numbers, memory


def behind_program(program: list[Instruction]) -> tuple[list[Instruction], int]:
    """The program with its loads reading behind its own bytes, and where that is."""
    base = len(program) * INSTRUCTION_BYTES
    base += -base % ALIGNMENT
    return [_moved(instruction, base) for instruction in program], base


def encode(program: list[Instruction]) -> bytes:
    """One word an instruction.

    Raises
    ------
    CompileError
        A number does not fit its field; the text names the field.
    """
    return b"".join(_word(i).to_bytes(INSTRUCTION_BYTES, "little") for i in program)


def _word(instruction):
    try:
        return encode_word(instruction)
    except ValueError as error:
        raise CompileError(
            f"a {instruction.op.name.lower()} does not fit an instruction: {error}; use a smaller "
            f"image or batch"
        ) from None


def _starts(first, sizes):
    return list(accumulate(sizes, initial=first))


def _moved(instruction, base):
    if not isinstance(instruction, Transfer) or instruction.region is not Region.IMAGE:
        return instruction
    return replace(instruction, offset=instruction.offset + base)
