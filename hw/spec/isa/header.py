"""What every instruction has: an operation, the tokens that it waits for and gives, and a tag.

Every engine takes its instructions in program order. An instruction first waits for one token
from each engine that it names, and when its last write has landed gives one token to each engine
that it names. Program order is a valid serial order: that is what makes a deadlock impossible,
and what ``qnn.compiler.check_program`` checks.
"""

import enum
from dataclasses import dataclass, field
from typing import ClassVar, Self

from hw.spec.isa.fields import Field

INSTRUCTION_BITS = 1024
INSTRUCTION_BYTES = INSTRUCTION_BITS // 8
TOKEN_BITS = 8  # of each of the six token counters
TAG_BITS = 16


class Engine(enum.IntEnum):
    """The three engines, in the order of the token bits of an instruction."""

    LOAD = 0
    COMPUTE = 1
    STORE = 2

    def __init__(self, _number):
        # Its name in the names of fields and ports, in text and in reports. Once, as encoding asks
        # for it six times for every instruction.
        self.word = self._name_.lower()


class Op(enum.IntEnum):
    """Operation codes. Values are part of the image format: never reuse one."""

    END = 0  # the run is over when every engine is idle; ends the fetch
    LOAD = 1  # memory to buffer
    STORE = 2  # feature buffer to memory
    CONV = 3  # array and epilogue
    MAXPOOL = 4  # maximum over each window

    @property
    def engine(self) -> Engine | None:
        """The engine that executes the operation; none executes END."""
        return _ENGINES.get(self)


_ENGINES = {
    Op.LOAD: Engine.LOAD,
    Op.STORE: Engine.STORE,
    Op.CONV: Engine.COMPUTE,
    Op.MAXPOOL: Engine.COMPUTE,
}

HEADER = (
    Field("op", 4),
    *(Field(f"wait_{engine.word}", 1) for engine in Engine),
    *(Field(f"signal_{engine.word}", 1) for engine in Engine),
    Field("reserved", 6),
    Field("tag", TAG_BITS),
)


@dataclass(frozen=True, kw_only=True)
class Header:
    """The part that all instructions share.

    Members
    -------
    op : what the instruction does
    tag : the layer, for traces; software's to choose
    waits : engines of which it takes a token each before it starts
    signals : engines to which it gives a token each when its last write has landed

    Raises
    ------
    ValueError
        ``op`` is no operation of this kind of instruction.
    """

    OPS: ClassVar[tuple[Op, ...]] = ()

    op: Op
    tag: int = 0
    waits: frozenset[Engine] = field(default=frozenset())
    signals: frozenset[Engine] = field(default=frozenset())

    def __post_init__(self):
        if self.op not in self.OPS:
            names = " or ".join(op.name for op in self.OPS)
            raise ValueError(f"{type(self).__name__} op must be {names}, not {self.op!r}")

    @property
    def engine(self) -> Engine | None:
        """The engine that executes the instruction; none executes END."""
        return self.op.engine

    def having(self, **members: object) -> Self:
        """The instruction with other values of some members, but the same operation.

        It is ``dataclasses.replace`` without the checks of ``op``. That sets each of some fifty
        members again and takes ten times as long, which counts where every pass over a program of
        tens of thousands of instructions changes all of them.
        """
        known = members.keys() <= self.__dict__.keys() and "op" not in members
        assert known, f"no other values can be set for {sorted(members)}"
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__ | members)
        return other
