"""A program as text, one line per instruction, and back.

A line is an operation and operands ``name=value`` in any order; an operand that is not there is
at its default. ``#`` begins a comment. What ``text`` prints, ``parse`` reads as the same program.
"""

from collections.abc import Iterable
from enum import IntEnum

from hw.spec.isa.encoding import CLASSES, Instruction, InstructionError
from hw.spec.isa.header import Engine, Op
from hw.spec.isa.program import Program

# Operand to fields, whose values stand with commas between them: y, or height, before x.
_HEADER = {"tag": ("tag",), "wait": ("waits",), "signal": ("signals",)}
_TRANSFER = {
    "region": ("region",),
    "offset": ("offset",),
    "buffer": ("buffer",),
    "address": ("address",),
    "words": ("words",),
    "rows": ("rows",),
    "address_step": ("address_step",),
    "offset_step": ("offset_step",),
}
_TILES = {
    "fence": ("fence",),
    "tiles": ("tiles_y", "tiles_x"),
    "tile": ("tile_height", "tile_width"),
    "kernel": ("kernel_y", "kernel_x"),
    "blocks": ("blocks",),
    "terms": ("terms",),
    "input": ("input_address",),
    "at": ("input_y", "input_x"),
    "of": ("input_height", "input_width"),
    "pad": ("pad_value",),
    "block_step": ("block_step",),
    "kernel_y_step": ("kernel_y_step",),
    "kernel_stride": ("kernel_y_stride", "kernel_x_stride"),
    "tile_y_step": ("tile_y_step",),
    "tile_stride": ("tile_y_stride", "tile_x_stride"),
    "columns": ("columns",),
    "neighbours": ("neighbours",),
    "column_address": ("column_address",),
    "column_y": ("column_y",),
    "column_x": ("column_x",),
    "weights": ("weight_address",),
    "weight_step": ("weight_step",),
    "parameters": ("parameter_address",),
    "skip": ("skip",),
    "skip_address": ("skip_address",),
    "skip_part": ("skip_part",),
    "skip_tile_x_step": ("skip_tile_x_step",),
    "skip_tile_y_step": ("skip_tile_y_step",),
    "skip_column": ("skip_column",),
    "multiply": ("multiply",),
    "sum_unsigned": ("sum_unsigned",),
    "skip_unsigned": ("skip_unsigned",),
    "interval": ("interval",),
    "passes": ("passes",),
    "pass_step": ("pass_step",),
    "output": ("output_address",),
    "output_part": ("output_part",),
    "to": ("output_height", "output_width"),
    "output_step": ("output_step",),
    "output_pitch": ("output_pitch",),
    "output_tile_x_step": ("output_tile_x_step",),
    "output_tile_y_step": ("output_tile_y_step",),
    "clamp": ("low", "high"),
    "table": ("table",),
    "table_address": ("table_address",),
}
_OPERANDS = {
    Op.END: _HEADER,
    Op.LOAD: _TRANSFER | _HEADER,
    Op.STORE: _TRANSFER | _HEADER,
    Op.CONV: _TILES | _HEADER,
    Op.MAXPOOL: _TILES | _HEADER,
}
_DEFAULTS = {op: CLASSES[op](op=op) for op in Op}


def text(program: Iterable[Instruction]) -> str:
    """One line per instruction, each with its line end."""
    return "".join(f"{line(instruction)}\n" for instruction in program)


def line(instruction: Instruction) -> str:
    """One instruction: its operation, and each operand that is not at its default."""
    words = [f"{instruction.op.name.lower():7}"]
    default = _DEFAULTS[instruction.op]
    for operand, names in _OPERANDS[instruction.op].items():
        values = [getattr(instruction, name) for name in names]
        if values != [getattr(default, name) for name in names]:
            words.append(f"{operand}={','.join(map(_printed, values))}")
    return " ".join(words).rstrip()


def parse(lines: str, name: str = "program") -> Program:
    """The program of a text; ``name`` is for the error.

    Raises
    ------
    InstructionError
        A line is no instruction; the text names the line and the operand.
    """
    found = []
    for number, written in enumerate(lines.splitlines(), start=1):
        # No operand has a # in it, so that all behind one is a comment.
        words = written.partition("#")[0].split()
        if not words:
            continue
        try:
            found.append(_instruction(*words))
        except ValueError as error:
            raise InstructionError(f"{name}, line {number}: {error}") from None
    return Program(tuple(found))


def _instruction(code, *words):
    if code.upper() not in Op.__members__:
        codes = ", ".join(op.name.lower() for op in Op)
        raise InstructionError(f"an instruction begins with one of {codes}, not '{code}'")
    op = Op[code.upper()]
    members = {}
    for word in words:
        operand, equals, value = word.partition("=")
        names = _OPERANDS[op].get(operand)
        if not equals or names is None:
            raise InstructionError(f"{code} has no operand '{word}'")
        if names[0] in members:
            raise InstructionError(f"{code} has the operand '{operand}' twice")
        try:
            members |= _read(_DEFAULTS[op], names, value)
        except (KeyError, ValueError):
            raise InstructionError(f"{code} cannot have {word}") from None
    return CLASSES[op](op=op, **members)


def _printed(value):
    if isinstance(value, frozenset):
        return ",".join(engine.word for engine in Engine if engine in value)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return value.name.lower() if isinstance(value, IntEnum) else str(int(value))


def _read(default, names, value):
    """The members called ``names`` of the text ``value``, each of the kind of its default."""
    parts = value.split(",")
    kind = getattr(default, names[0])
    if isinstance(kind, frozenset):
        return {names[0]: frozenset(Engine[part.upper()] for part in parts)}
    if isinstance(kind, tuple):
        parts = [tuple(int(part) for part in parts)]
        if len(parts[0]) != len(kind):
            raise ValueError(value)
    elif isinstance(kind, IntEnum):
        parts = [type(kind)[part.upper()] for part in parts]
    else:
        parts = [type(kind)(int(part)) for part in parts]
    return dict(zip(names, parts, strict=True))
