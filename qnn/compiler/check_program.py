"""Proof over the finished program: no deadlock, no overrun, nothing read too early."""

from itertools import combinations

import numpy as np

from hw.spec.image import Image
from hw.spec.isa import access
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.end import End
from hw.spec.isa.header import TOKEN_BITS, Engine, Op
from hw.spec.isa.tiles import ADDRESS_MASK, Tiles
from hw.spec.isa.transfer import Transfer
from qnn.compiler.fences import Running

NEVER = -1


class ProgramError(AssertionError):
    """A mistake of the compiler: the text names the instruction and its layer.

    Attributes
    ----------
    image : whose program breaks the rule
    layer : that the instruction computes, or moves data for; None if it belongs to none
    """

    def __init__(self, index: int, rule: str, image: Image):
        program, layers = image.program, image.layers
        tag = program[index].tag if index < len(program) else len(layers)
        self.image = image
        self.layer = layers[tag].name if tag < len(layers) else None
        whose = f" of layer '{self.layer}'" if self.layer else ""
        super().__init__(f"instruction {index}{whose}: {rule}")


class _RuleBroken(Exception):
    """The instruction of an index breaks a rule."""


def check_program(image: Image) -> None:
    """Prove what hardware relies on, from the image's bytes alone.

    Raises
    ------
    ProgramError
        The program breaks a rule.
    """
    try:
        _check(image)
    except _RuleBroken as broken:
        raise ProgramError(*broken.args, image) from None


def _check(image):
    program = image.program.instructions
    ends = bool(program) and isinstance(program[-1], End)
    _require(ends, len(program), "the program must stop in END")
    known = _check_tokens(program)
    _check_counters(program)
    memory, running = _Memory(image), Running(image.config)
    for index, instruction in enumerate(program[:-1]):
        _check_fields(index, instruction, image.config)
        reads, writes = _accesses(index, instruction, image)
        memory.access(index, instruction.engine, reads, writes, known[index])
        if isinstance(instruction, Tiles):
            early = instruction.fence > running.limit(instruction)
            _require(not early, index, "the fence lets it read words that have not landed")
            early = instruction.fence > running.order(instruction)
            _require(not early, index, "the fence lets it write before an earlier one has")
            running.add(instruction)


def _check_banks(index, tiles, inside, config):
    """Prove over the real columns that no step reads a bank twice."""
    # A step moves all columns alike, and banks divide the addresses at which they wrap: two columns
    # meet in one bank either in every step or in none.
    for one, other in _meeting(tiles, tiles.column_address, config):
        # A column that reads padding reads no bank.
        clash = (inside[..., one] & inside[..., other]).any()
        _require(not clash, index, "two columns must not read one bank in one step")
    # The skip step reads by itself: its words may meet a bank of the steps before.
    # One word for all of them is read once.
    shared = not any(tiles.skip_column)
    clash = tiles.skip and not shared and _meeting(tiles, tiles.skip_column, config)
    _require(not clash, index, "two columns must not read one bank in one step")


def _meeting(tiles, steps, config):
    """Pairs of columns whose words lie in one bank."""
    banks = (access.column_offsets(tiles, steps) % config.banks).tolist()
    pairs = combinations(range(tiles.columns), 2)
    return [(one, other) for one, other in pairs if banks[one] == banks[other]]


def _require(condition, index, rule):
    if not condition:
        raise _RuleBroken(index, rule)


def _check_fields(index, instruction, config):
    try:
        instruction.check(config)
    except ValueError as error:
        raise _RuleBroken(index, str(error)) from None


def _check_tokens(program):
    """Serial execution finds every token; returns what each instruction knows to have finished.

    ``known[i][engine]`` is the index of the engine's newest instruction that is over when i starts.
    """
    queues = {(a, b): [] for a in Engine for b in Engine}
    at_end = {name: dict.fromkeys(Engine, NEVER) for name in Engine}
    known = []
    for index, instruction in enumerate(program[:-1]):
        engine = instruction.engine
        # What an engine has been told it still knows for all that it does later.
        knows = dict(at_end[engine])
        for other in Engine:
            if other in instruction.waits:
                _require(
                    queues[other, engine], index, f"no token comes from {other.word}: a deadlock"
                )
                for name, value in queues[other, engine].pop(0).items():
                    knows[name] = max(knows[name], value)
        known.append(knows)
        # The instruction itself is over too once it gives its tokens.
        at_end[engine] = {**knows, engine: index}
        for other in Engine:
            if other in instruction.signals:
                queues[engine, other].append(at_end[engine])
    for (a, b), left in queues.items():
        _require(
            not left, len(program), f"{len(left)} tokens from {a.word} to {b.word} are never taken"
        )
    return known


def _check_counters(program):
    """Check that no token counter overflows, however far one engine runs ahead of another."""
    for slow in Engine:
        _check_ahead(program, slow)


def _check_ahead(program, slow):
    """Run the others as far as tokens let them before each instruction of ``slow``."""
    lines = {name: [] for name in Engine}
    for index, instruction in enumerate(program[:-1]):
        lines[instruction.engine].append(index)
    counts = {(a, b): 0 for a in Engine for b in Engine}
    position = dict.fromkeys(Engine, 0)

    def step(name):
        if position[name] == len(lines[name]):
            return False
        index = lines[name][position[name]]
        instruction = program[index]
        if any(not counts[other, name] for other in instruction.waits):
            return False
        for other in Engine:
            counts[other, name] -= other in instruction.waits
            counts[name, other] += other in instruction.signals
            # Tokens are counters in hardware, which wrap without a trace.
            full = counts[name, other] >= 1 << TOKEN_BITS
            _require(not full, index, f"more than {TOKEN_BITS} bits of tokens for {other.word}")
        position[name] += 1
        return True

    fast = [name for name in Engine if name != slow]
    while True:
        # Until each of the others is held up: that is as far ahead as any timing can take them.
        while any(step(name) for name in fast):
            pass
        if not step(slow):
            return


def _accesses(index, instruction, image):
    """Exact words by memory: what an instruction reads and writes."""
    if isinstance(instruction, Transfer):
        return _transfer(index, instruction, image)
    config = image.config
    # Terms read the same words again.
    address, inside = access.reads(instruction.having(terms=1))
    _check_banks(index, instruction, inside, config)
    reads = [(Buffer.FEATURES, _distinct(address[inside]))]
    written, valid = access.writes(instruction)
    if instruction.skip:
        reads.append((Buffer.FEATURES, _distinct(access.skip_reads(instruction)[valid])))
    for span in instruction.reads(config):
        if span.memory is not Buffer.FEATURES:
            reads.append((span.memory, np.arange(span.start, span.stop)))
    # Passes last, as `valid` says which pixels exist, for all passes alike.
    words = _distinct(written.transpose(0, 2, 1)[valid])
    return reads, [(Buffer.FEATURES, words)]


def _distinct(words):
    """Every word once, ascending."""
    # By a mark for each word of the range: sorting, as `np.unique` does, takes several times as
    # long.
    flat = words.reshape(-1)
    first = int(flat.min(initial=ADDRESS_MASK))
    marks = np.zeros(max(0, int(flat.max(initial=-1)) + 1 - first), bool)
    marks[flat - first] = True
    return np.flatnonzero(marks) + first


def _transfer(index, transfer, image):
    config, region = image.config, transfer.region
    inside = transfer.in_memory(config).stop <= image.region_bytes(region)
    _require(inside, index, "outside its region")
    starts = access.memory_bytes(transfer, config)
    on_chip = [(transfer.buffer, access.chip_words(transfer).reshape(-1))]
    outside = []
    if region is Region.SCRATCH:
        beats = np.arange(transfer.buffer.word_beats(config))
        outside = [(region, (starts[..., None] // config.bus_bytes + beats).reshape(-1))]
    return (outside, on_chip) if transfer.op is Op.LOAD else (on_chip, outside)


class _Memory:
    """Newest writer and readers of every word of the buffers, and beat of scratch, by engine."""

    def __init__(self, image):
        config = image.config
        # By name, as a buffer and a region of one number are equal integers, but two memories.
        self.sizes = {
            **{buffer.name: buffer.words(config) for buffer in Buffer},
            Region.SCRATCH.name: image.scratch_bytes // config.bus_bytes,
        }
        self.writer = {b: np.full(size, NEVER) for b, size in self.sizes.items()}
        # The engine of the newest writer: its number, or NEVER, which is none's.
        self.by = {b: np.full(size, NEVER) for b, size in self.sizes.items()}
        self.reader = {(b, e): np.full(n, NEVER) for b, n in self.sizes.items() for e in Engine}

    def access(self, index, engine, reads, writes, known):
        reads, writes = (
            [(memory.name, words) for memory, words in found] for found in (reads, writes)
        )
        for buffer, words in [*reads, *writes]:
            _require(
                words.max(initial=NEVER) < self.sizes[buffer],
                index,
                f"outside buffer {buffer}",
            )
        for buffer, words in reads:
            writer = self.writer[buffer][words]
            _require((writer != NEVER).all(), index, f"reads unwritten words of {buffer}")
            self._check_order(index, engine, buffer, words, known)
        for buffer, words in writes:
            self._check_order(index, engine, buffer, words, known)
            for other in Engine:
                last = self.reader[buffer, other][words].max(initial=NEVER)
                # An engine's own reads are over before its next instruction writes.
                early = other != engine and last > known[other]
                _require(not early, index, f"overwrites {buffer} that {other.word} still reads")
            self.writer[buffer][words] = index
            self.by[buffer][words] = engine
        for buffer, words in reads:
            self.reader[buffer, engine][words] = index

    def _check_order(self, index, engine, buffer, words, known):
        """Check that whatever wrote these words has finished, by tokens or by the fence."""
        for number, other in enumerate(Engine):
            last = self.writer[buffer][words][self.by[buffer][words] == number]
            if not len(last):
                continue
            # Its own writes have landed for the next transfer; a computation has its fence for
            # that.
            over = known[other] if other != engine else index
            _require(last.max() <= over, index, f"touches {buffer} that {other.word} still writes")
