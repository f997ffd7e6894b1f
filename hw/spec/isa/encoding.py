"""Instructions as words of 1024 bits, and back."""

from typing import TypeAlias

from hw.spec.isa.end import End
from hw.spec.isa.fields import Layout
from hw.spec.isa.header import HEADER, Engine, Header, Op
from hw.spec.isa.members import members
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer

Instruction: TypeAlias = Transfer | Tiles | End

# In the order in which the C header has their fields.
CLASSES: dict[Op, type[Header]] = {op: cls for cls in (Transfer, Tiles, End) for op in cls.OPS}
_MEMBERS = {cls: members(cls) for cls in CLASSES.values()}
_LAYOUTS = {
    cls: Layout(
        cls.__name__.upper(),
        (*HEADER, *(f for name, member in own.items() for f in member.fields(name))),
    )
    for cls, own in _MEMBERS.items()
}
LAYOUTS = {op: _LAYOUTS[cls] for op, cls in CLASSES.items()}
TRANSFER, TILES = LAYOUTS[Op.LOAD], LAYOUTS[Op.CONV]
_HEADER = Layout("HEADER", HEADER)


class InstructionError(ValueError):
    """Raised for bits or text that no instruction has."""


def encode(instruction: Instruction) -> int:
    """The word of ``INSTRUCTION_BYTES`` bytes that encodes ``instruction``.

    Raises
    ------
    ValueError
        A value does not fit its field; the text names the field.
    """
    # Bits that an instruction is silent about stay 0: equal programs are equal bytes.
    values = {"op": instruction.op, "tag": instruction.tag}
    values |= {f"wait_{engine.word}": 1 for engine in instruction.waits}
    values |= {f"signal_{engine.word}": 1 for engine in instruction.signals}
    for name, member in _MEMBERS[type(instruction)].items():
        value = getattr(instruction, name)
        if member.count is None:
            values[name] = value
        else:
            values |= {f"{name}_{n}": each for n, each in enumerate(value)}
    return LAYOUTS[instruction.op].encode(**values)


def decode(word: int) -> Instruction:
    """The instruction that ``word`` encodes.

    Raises
    ------
    InstructionError
        The word is none: no such operation code, or no such buffer.
    """
    code = _HEADER.decode(word)["op"]
    if code not in list(Op):
        raise InstructionError(f"operation code {code}, which does not exist")
    op = Op(code)
    cls = CLASSES[op]
    values = LAYOUTS[op].decode(word)
    return cls(
        op=op,
        tag=values["tag"],
        waits=frozenset(e for e in Engine if values[f"wait_{e.word}"]),
        signals=frozenset(e for e in Engine if values[f"signal_{e.word}"]),
        **{name: _value(name, member, values) for name, member in _MEMBERS[cls].items()},
    )


def _value(name, member, values):
    if member.count is not None:
        return tuple(values[f"{name}_{n}"] for n in range(member.count))
    try:
        return member.kind(values[name])
    except ValueError:
        raise InstructionError(f"{name} {values[name]}, which does not exist") from None
