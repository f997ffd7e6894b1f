"""Proof over the finished program: no deadlock, no overrun, nothing read too early."""

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import TOKEN_BITS, Op
from qnn.compiler import access
from qnn.compiler.disassemble import instructions
from qnn.compiler.fences import Running
from qnn.compiler.program import ENGINES, NAMES

NEVER = -1


class ProgramError(AssertionError):
    """A mistake of the compiler: the text names the instruction."""


def check_program(image: Image) -> None:
    """Prove what hardware relies on, from the image's bytes alone.

    Raises
    ------
    ProgramError
        The program breaks a rule.
    """
    program = instructions(image)
    _require(program and program[-1]["op"] is Op.END, len(program), "the program must stop in END")
    known = _check_tokens(program)
    _check_counters(program)
    memory, running = _Memory(image), Running(image.config)
    for index, fields in enumerate(program[:-1]):
        reads, writes = _accesses(index, fields, image)
        memory.access(index, fields, reads, writes, known[index])
        if _engine(fields) == "compute":
            early = fields["fence"] > running.limit(fields)
            _require(not early, index, "the fence lets it read words that have not landed")
            running.add(fields)


def check_banks(index: int, fields: dict[str, int], config: SvpeConfig) -> None:
    """Prove over the real addresses that no step reads a bank twice."""
    address, inside = access.reads(fields)
    places = [(address, inside)]
    if fields["skip"]:
        skip = access.skip_reads(fields)[:, None]
        places.append((skip, np.ones(skip.shape, bool)))
    for where, valid in places:
        bank = np.where(valid, where % config.banks, -1 - np.arange(fields["columns"]))
        bank = np.sort(bank, axis=-1)
        clash = (bank[..., 1:] == bank[..., :-1]).any()
        _require(not clash, index, "two columns must not read one bank in one step")


def _require(condition, index, rule):
    if not condition:
        raise ProgramError(f"instruction {index}: {rule}")


def _engine(fields):
    return ENGINES[fields["op"]]


def _check_tokens(program):
    """Serial execution finds every token; returns what each instruction knows to have finished.

    ``known[i][engine]`` is the index of the engine's newest instruction that is over when i starts.
    """
    queues = {(a, b): [] for a in NAMES for b in NAMES}
    at_end = {name: dict.fromkeys(NAMES, NEVER) for name in NAMES}
    known = []
    for index, fields in enumerate(program[:-1]):
        engine = _engine(fields)
        knows = dict(at_end[engine])
        for other in NAMES:
            if fields[f"wait_{other}"]:
                _require(queues[other, engine], index, f"no token comes from {other}: a deadlock")
                for name, value in queues[other, engine].pop(0).items():
                    knows[name] = max(knows[name], value)
        known.append(knows)
        at_end[engine] = {**knows, engine: index}
        for other in NAMES:
            if fields[f"signal_{other}"]:
                queues[engine, other].append(at_end[engine])
    for (a, b), left in queues.items():
        _require(not left, len(program), f"{len(left)} tokens from {a} to {b} are never taken")
    return known


def _check_counters(program):
    """No token counter overflows, however far an engine runs ahead of one that stands still."""
    for slow in NAMES:
        _check_ahead(program, slow)


def _check_ahead(program, slow):
    """Run the others as far as tokens let them before each instruction of ``slow``."""
    lines = {name: [] for name in NAMES}
    for index, fields in enumerate(program[:-1]):
        lines[_engine(fields)].append(index)
    counts = {(a, b): 0 for a in NAMES for b in NAMES}
    position = dict.fromkeys(NAMES, 0)

    def step(name):
        if position[name] == len(lines[name]):
            return False
        index = lines[name][position[name]]
        fields = program[index]
        if any(fields[f"wait_{o}"] and not counts[o, name] for o in NAMES):
            return False
        for other in NAMES:
            counts[other, name] -= fields[f"wait_{other}"]
            counts[name, other] += fields[f"signal_{other}"]
            full = counts[name, other] >= 1 << TOKEN_BITS
            _require(not full, index, f"more than {TOKEN_BITS} bits of tokens for {other}")
        position[name] += 1
        return True

    fast = [name for name in NAMES if name != slow]
    while True:
        while any(step(name) for name in fast):
            pass
        if not step(slow):
            return


def _accesses(index, fields, image):
    """Exact words by memory: what an instruction reads and writes."""
    if fields["op"] in (Op.LOAD, Op.STORE):
        return _transfer(index, fields, image)
    config = image.config
    check_banks(index, fields, config)
    least = max(fields["passes"] * fields["columns"], config.columns)
    _require(fields["interval"] >= least, index, "interval is too short")
    address, inside = access.reads(fields)
    reads = [(Buffer.FEATURES, np.unique(address[inside]))]
    written, valid = access.writes(fields)
    if fields["skip"]:
        reads.append((Buffer.FEATURES, np.unique(access.skip_reads(fields)[valid])))
    if fields["op"] is Op.CONV:
        steps = address.shape[1] if fields["weight_step"] else 1
        reads.append((Buffer.WEIGHTS, fields["weight_address"] + np.arange(steps)))
        reads.append((Buffer.PARAMETERS, np.array([fields["parameter_address"]])))
    words = np.unique(written.transpose(0, 2, 1)[valid])
    return reads, [(Buffer.FEATURES, words)]


def _transfer(index, fields, image):
    config = image.config
    word_bits = {
        Buffer.FEATURES: config.feature_bits,
        Buffer.WEIGHTS: config.weight_word_bits,
        Buffer.PARAMETERS: config.rows * config.parameter_bits,
    }[Buffer(fields["buffer"])]
    word_bytes = config.beats(word_bits) * config.bus_bytes
    rows, words = np.arange(fields["rows"])[:, None], np.arange(fields["words"])
    chip = fields["address"] + rows * fields["address_step"] + words
    start = fields["offset"] + rows[:, 0] * fields["offset_step"]
    size = {
        Region.IMAGE: len(image.payload),
        Region.INPUT: image.input_bytes,
        Region.OUTPUT: image.output_bytes,
        Region.SCRATCH: image.scratch_bytes,
    }[Region(fields["region"])]
    _require(start.max() + fields["words"] * word_bytes <= size, index, "outside its region")
    _require(not (start % config.bus_bytes).any(), index, "not at a whole beat")
    on_chip = [(Buffer(fields["buffer"]), chip.reshape(-1))]
    outside = []
    if fields["region"] == Region.SCRATCH:
        beats = np.arange(fields["words"] * (word_bytes // config.bus_bytes))
        outside = [(Region.SCRATCH, (start[:, None] // config.bus_bytes + beats).reshape(-1))]
    return (outside, on_chip) if fields["op"] is Op.LOAD else (on_chip, outside)


class _Memory:
    """Newest writer and readers of every word of the buffers, and beat of scratch, by engine."""

    def __init__(self, image):
        config = image.config
        self.sizes = {
            Buffer.FEATURES: config.feature_words,
            Buffer.WEIGHTS: config.weight_words,
            Buffer.PARAMETERS: config.parameter_words,
            Region.SCRATCH: image.scratch_bytes // config.bus_bytes,  # no buffer has its number
        }
        self.writer = {b: np.full(size, NEVER) for b, size in self.sizes.items()}
        self.by = {b: np.full(size, NEVER) for b, size in self.sizes.items()}
        self.reader = {(b, e): np.full(n, NEVER) for b, n in self.sizes.items() for e in NAMES}

    def access(self, index, fields, reads, writes, known):
        engine = _engine(fields)
        for buffer, words in [*reads, *writes]:
            _require(
                words.max(initial=NEVER) < self.sizes[buffer],
                index,
                f"outside buffer {buffer.name}",
            )
        for buffer, words in reads:
            writer = self.writer[buffer][words]
            _require((writer != NEVER).all(), index, f"reads unwritten words of {buffer.name}")
            self._check_order(index, engine, buffer, words, known)
        for buffer, words in writes:
            self._check_order(index, engine, buffer, words, known)
            for other in NAMES:
                last = self.reader[buffer, other][words].max(initial=NEVER)
                early = other != engine and last > known[other]
                _require(not early, index, f"overwrites {buffer.name} that {other} still reads")
            self.writer[buffer][words] = index
            self.by[buffer][words] = NAMES.index(engine)
        for buffer, words in reads:
            self.reader[buffer, engine][words] = index

    def _check_order(self, index, engine, buffer, words, known):
        """Whatever wrote these words has finished: known by tokens, or by the fence."""
        for number, other in enumerate(NAMES):
            last = self.writer[buffer][words][self.by[buffer][words] == number]
            if not len(last):
                continue
            over = known[other] if other != engine else index
            _require(last.max() <= over, index, f"touches {buffer.name} that {other} still writes")
