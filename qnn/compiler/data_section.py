"""Weights, parameters and tables behind the program, and the program that reads them there."""

from dataclasses import dataclass, replace
from itertools import accumulate

from hw.spec.isa.buffers import Region
from hw.spec.isa.encoding import Instruction
from hw.spec.isa.end import End
from hw.spec.isa.header import INSTRUCTION_BYTES
from hw.spec.isa.transfer import Transfer
from qnn.compiler.task import Key

ALIGNMENT = 256  # of the weights behind the program; bursts start on whole lines


@dataclass(frozen=True, eq=False)
class DataSection:
    """The weights, epilogue parameters and tables that the program loads.

    Members
    -------
    order : the number of each group's data, in memory
    words : weight words of each group
    weight_offsets, parameter_offsets : bytes from the section's start, by number
    tables : the table of each group that has one; groups may share it
    table_offsets : bytes from the section's start, by table
    content : the bytes: weights, parameters, tables
    """

    order: dict[Key, int]
    words: dict[Key, int]
    weight_offsets: tuple[int, ...]
    parameter_offsets: tuple[int, ...]
    tables: dict[Key, bytes]
    table_offsets: dict[bytes, int]
    content: bytes


def lay_out_data(state):
    """The state with the data of all tasks, in the order in which they first need them."""
    # In the order of first use: neighbours in the program are neighbours in memory, so that one
    # load can bring several groups.
    keys = tuple(dict.fromkeys(task.weights for task in state.tasks if task.weights))
    groups = [state.packed[name][number] for name, number in keys]
    weights = b"".join(group.weights for group in groups)
    weights += bytes(-len(weights) % ALIGNMENT)
    parameters = b"".join(group.parameters for group in groups)
    # Layers with equal functions and exponents have equal tables, which stand there once.
    tables = tuple(dict.fromkeys(group.table for group in groups if group.table is not None))
    if tables:
        parameters += bytes(-len(parameters) % ALIGNMENT)
    first = len(weights) + len(parameters)
    section = DataSection(
        order={key: number for number, key in enumerate(keys)},
        words={key: group.words for key, group in zip(keys, groups, strict=True)},
        weight_offsets=_starts(0, (len(group.weights) for group in groups)),
        parameter_offsets=_starts(len(weights), (len(group.parameters) for group in groups)),
        tables={
            key: group.table
            for key, group in zip(keys, groups, strict=True)
            if group.table is not None
        },
        table_offsets=dict(zip(tables, _starts(first, map(len, tables)), strict=False)),
        content=weights + parameters + b"".join(tables),
    )
    return replace(state, data=section)


def data_start(instructions: int) -> int:
    """The byte of the image at which the data begin, behind so many instructions."""
    end = instructions * INSTRUCTION_BYTES
    return end + -end % ALIGNMENT


def link(state):
    """The state with a program that ends, and whose loads read behind its own bytes."""
    # One more for END, which moves no data but takes its place before them.
    start = data_start(len(state.program) + 1)
    program = (*(moved(instruction, start) for instruction in state.program), End())
    return replace(state, program=program)


def moved(instruction: Instruction, start: int) -> Instruction:
    """The instruction, which if it reads the image's data finds them ``start`` bytes later."""
    # Offsets of the other regions are the host's, and known before the program's length is.
    if not isinstance(instruction, Transfer) or instruction.region is not Region.IMAGE:
        return instruction
    return instruction.having(offset=instruction.offset + start)


def _starts(first, sizes):
    return tuple(accumulate(sizes, initial=first))
