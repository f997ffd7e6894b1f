"""Tokens: the waits and signals that keep what one engine needs of another in program order."""

from qnn.compiler.program import NAMES, Instruction


def add_tokens(program: list[Instruction]) -> list[Instruction]:
    """Set wait and signal fields so that no word is read or written too early.

    An engine finishes its instructions in order, so that a wait for one covers all before it:
    for each pair of engines only a dependency on a later instruction than the last needs a token.
    """
    covered = {(a, b): -1 for a in NAMES for b in NAMES}
    seen = _History()
    flags: list[dict[str, int]] = [{} for _ in program]
    for index, instruction in enumerate(program):
        engine = instruction.engine
        if engine is None:
            continue
        for other in NAMES:
            if other == engine:
                continue
            needed = seen.last_conflict(instruction, other, covered[other, engine])
            if needed > covered[other, engine]:
                covered[other, engine] = needed
                flags[needed][f"signal_{engine}"] = 1
                flags[index][f"wait_{other}"] = 1
        seen.add(index, instruction)
    return [i.with_fields(**flag) for i, flag in zip(program, flags, strict=True)]


class _History:
    """The spans that each engine has read and written, newest last."""

    def __init__(self):
        self.reads = {engine: [] for engine in NAMES}
        self.writes = {engine: [] for engine in NAMES}

    def last_conflict(self, instruction, engine, covered):
        """Index of the engine's newest instruction that must come first, if over ``covered``."""
        after_write = [*instruction.reads, *instruction.writes]
        return max(
            _newest(self.writes[engine], after_write, covered),
            _newest(self.reads[engine], instruction.writes, covered),
        )

    def add(self, index, instruction):
        self.reads[instruction.engine] += [(index, span) for span in instruction.reads]
        self.writes[instruction.engine] += [(index, span) for span in instruction.writes]


def _newest(entries, spans, covered):
    for index, old in reversed(entries):
        if index <= covered:
            return covered
        for span in spans:
            if old.memory is span.memory and old.start < span.stop and span.start < old.stop:
                return index
    return covered
