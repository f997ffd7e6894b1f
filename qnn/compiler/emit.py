"""The image of a scheduled network: program, weights and epilogue numbers as bytes."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Region
from hw.spec.isa.encoding import LAYOUTS
from hw.spec.isa.header import INSTRUCTION_BYTES
from qnn.compiler.lower import GroupData, Work
from qnn.compiler.program import Instruction
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
        weight_bytes=config.beats(config.weight_word_bits) * config.bus_bytes,
        parameter_bytes=config.beats(config.rows * config.parameter_bits) * config.bus_bytes,
        feature_bytes=config.beats(config.feature_bits) * config.bus_bytes,
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
        return LAYOUTS[instruction.op].encode(**instruction.fields)
    except ValueError as error:
        raise CompileError(
            f"a {instruction.op.name.lower()} does not fit an instruction: {error}; use a smaller "
            f"image or batch"
        ) from None


def _starts(first, sizes):
    return list(accumulate(sizes, initial=first))


def _moved(instruction, base):
    if not any(span.memory is Region.IMAGE for span in instruction.reads):
        return instruction
    reads = tuple(
        span._replace(start=span.start + base, stop=span.stop + base) for span in instruction.reads
    )
    moved = instruction.with_fields(offset=instruction.fields["offset"] + base)
    return replace(moved, reads=reads)
