"""Tokens: the waits and signals that keep what one engine needs of another in program order."""

from collections import defaultdict

from hw.spec.config import SvpeConfig
from hw.spec.isa.encoding import Instruction
from hw.spec.isa.header import Engine
from qnn.compiler.newest import NONE, Newest


def add_tokens(program: list[Instruction], config: SvpeConfig) -> list[Instruction]:
    """Set waits and signals so that no word is read or written too early.

    An engine finishes its instructions in order, so that a wait for one covers all before it:
    for each pair of engines only a dependency on a later instruction than the last needs a token.
    """
    # The newest instruction of a that b is known to have waited for; -1: none yet.
    covered = {(a, b): NONE for a in Engine for b in Engine}
    seen = _History()
    # Sets, as an instruction may have several reasons to wait for one engine, but one token does.
    waits: list[set[Engine]] = [set() for _ in program]
    signals: list[set[Engine]] = [set() for _ in program]
    for index, instruction in enumerate(program):
        engine = instruction.engine
        # END has no engine: control waits for all of them to be idle.
        if engine is None:
            continue
        reads, writes = instruction.reads(config), instruction.writes(config)
        for other in Engine:
            if other == engine:
                continue
            needed = seen.last_conflict(reads, writes, other)
            if needed > covered[other, engine]:
                covered[other, engine] = needed
                signals[needed].add(engine)
                waits[index].add(other)
        # Only now: an instruction does not wait for itself, and its own engine runs in order.
        seen.add(index, engine, reads, writes)
    return [
        instruction.having(waits=frozenset(taken), signals=frozenset(given))
        for instruction, taken, given in zip(program, waits, signals, strict=True)
    ]


class _History:
    """The newest instruction of each engine that read, and that wrote, each word."""

    def __init__(self):
        self.reads = {engine: defaultdict(Newest) for engine in Engine}
        self.writes = {engine: defaultdict(Newest) for engine in Engine}

    def last_conflict(self, reads, writes, engine):
        """Number of the engine's newest instruction that must come first; -1: none."""
        return max(
            # After a write both reading and writing must wait; after a read only writing must.
            _newest(self.writes[engine], (*reads, *writes)),
            _newest(self.reads[engine], writes),
        )

    def add(self, index, engine, reads, writes):
        for memories, spans in ((self.reads, reads), (self.writes, writes)):
            for span in spans:
                memories[engine][_key(span)].set(span.start, span.stop, index)


def _newest(memories, spans):
    found = (memories[_key(span)].of(span.start, span.stop) for span in spans)
    return max(found, default=NONE)


def _key(span):
    # A buffer and a region of one number are equal integers, but two memories.
    return type(span.memory), span.memory
