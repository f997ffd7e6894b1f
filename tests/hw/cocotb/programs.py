"""Random programs for the shell's bench, and what they do to memory with its stand-in core."""

import random
from dataclasses import dataclass, field, replace

from hw.spec.config import SvpeConfig
from hw.spec.isa import access
from hw.spec.isa import program as isa
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.encoding import Instruction
from hw.spec.isa.end import End
from hw.spec.isa.header import TAG_BITS, Engine, Op
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer

KEY_BITS = 32
MOST_WORDS = 12
MOST_ROWS = 4


@dataclass
class Program:
    """Instructions, where each region is, and the runs of beats that they read and write."""

    bases: dict[Region, int]
    code: bytes = b""
    instructions: list[Instruction] = field(default_factory=list)
    runs: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    writes: list[tuple[int, int]] = field(default_factory=list)

    @property
    def last_tag(self) -> int:
        """Tag of the last compute instruction."""
        return [i.tag for i in self.instructions if i.op is Op.CONV][-1]

    def writable(self) -> set[int]:
        """Every memory byte that a store may change."""
        return {byte for start, count in self.writes for byte in range(start, start + count)}


def random_program(
    rng: random.Random,
    config: SvpeConfig,
    *,
    phases: int,
    memory_bytes: int,
    transfers: int = 3,
    wait_cycles: int = 40,
    compute: bool = True,
) -> Program:
    """Phases of loads, one compute instruction and stores, as much at a time as tokens allow.

    Even and odd phases use different halves of the feature buffer: the loads of a phase wait for
    the stores of the last but one only. Regions begin at any beat; bytes between are guards.
    Without ``compute``, the stores of a phase wait for its loads.
    """
    quarter = memory_bytes // 4
    bases = {Region.IMAGE: 0}
    for n, region in enumerate((Region.INPUT, Region.OUTPUT, Region.SCRATCH), start=1):
        bases[region] = n * quarter + rng.randrange(64) * config.bus_bytes
    program = Program(bases=bases)
    free = {Region.OUTPUT: 0, Region.SCRATCH: 0}  # stores go up, and never overlap
    for phase in range(phases):
        _phase(rng, config, program, phase, free, transfers, wait_cycles if compute else None)
    program.instructions.append(End())
    program.code = isa.Program(tuple(program.instructions)).encode()
    beats = len(program.code) // config.bus_bytes
    program.runs = {"program": [(0, beats)], "load": [], "store": []}
    for instruction in program.instructions:
        if isinstance(instruction, Transfer):
            runs = _memory_runs(config, program, instruction)
            program.runs[instruction.engine.word] += runs
    program.writes = [(start, n * config.bus_bytes) for start, n in program.runs["store"]]
    return program


def _phase(rng, config, program, phase, free, transfers, wait_cycles):
    half = config.feature_words // 2
    first = phase % 2 * half
    buffers = [Buffer.FEATURES, *rng.choices(list(Buffer), k=transfers - 1)]
    loads = [_load(rng, config, buffer, first=first, limit=half) for buffer in buffers]
    sources = [load for load in loads if load.buffer is Buffer.FEATURES]
    loads = [replace(load, offset=rng.randrange(256) * config.bus_bytes) for load in loads]
    stores = []
    for _ in range(transfers):
        store = _store(rng, config, rng.choice(sources))
        region = rng.choice(list(free))
        stores.append(replace(store, region=region, offset=free[region]))
        free[region] += store.rows * store.offset_step + config.bus_bytes

    again, over = phase >= 1, phase >= 2
    if wait_cycles is None:
        loads[0] = _tokens(loads[0], waits={Engine.STORE: over})
        loads[-1] = _tokens(loads[-1], signals={Engine.STORE: True})
        stores[0] = _tokens(stores[0], waits={Engine.LOAD: True})
        stores[-1] = _tokens(stores[-1], signals={Engine.LOAD: True})
        program.instructions += [*loads, *stores]
        return
    loads[0] = _tokens(loads[0], waits={Engine.STORE: over, Engine.COMPUTE: again})
    loads[-1] = _tokens(loads[-1], signals={Engine.COMPUTE: True})
    stores[0] = _tokens(stores[0], waits={Engine.COMPUTE: True})
    stores[-1] = _tokens(stores[-1], signals={Engine.LOAD: True, Engine.COMPUTE: True})
    compute = Tiles(op=Op.CONV, blocks=rng.randrange(wait_cycles), tag=rng.randrange(1 << TAG_BITS))
    compute = _tokens(
        compute,
        waits={Engine.LOAD: True, Engine.STORE: again},
        signals={Engine.LOAD: True, Engine.STORE: True},
    )
    program.instructions += [*loads, compute, *stores]


def _tokens(instruction, *, waits=None, signals=None):
    """The instruction with the engines added that are given as true."""
    taken = {engine for engine, there in (waits or {}).items() if there}
    given = {engine for engine, there in (signals or {}).items() if there}
    waits, signals = instruction.waits | taken, instruction.signals | given
    return replace(instruction, waits=waits, signals=signals)


def _load(rng, config, buffer, *, first, limit):
    words, rows = rng.randint(1, MOST_WORDS), rng.randint(1, MOST_ROWS)
    step = words + rng.randrange(3)
    if buffer != Buffer.FEATURES:
        first, limit = 0, config.parameter_words
    beats = words * buffer.word_beats(config)
    return Transfer(
        op=Op.LOAD,
        region=Region.INPUT,
        buffer=buffer,
        address=first + rng.randrange(max(1, limit - rows * step)),
        words=words,
        rows=rows,
        address_step=step,
        offset_step=(beats + rng.randrange(5)) * config.bus_bytes,
    )


def _store(rng, config, load):
    """Some of the words that ``load`` brought: those of others are not defined."""
    words, rows = rng.randint(1, load.words), rng.randint(1, load.rows)
    beats = words * Buffer.FEATURES.word_beats(config)
    return Transfer(
        op=Op.STORE,
        buffer=Buffer.FEATURES,
        address=load.address,
        words=words,
        rows=rows,
        address_step=load.address_step,
        offset_step=(beats + rng.randrange(5)) * config.bus_bytes,
    )


def _memory_runs(config, program, transfer):
    """First byte and beats of each row of a transfer, from the memory's start."""
    start = program.bases[transfer.region] + transfer.offset
    beats = transfer.run_beats(config)
    return [(start + row * transfer.offset_step, beats) for row in range(transfer.rows)]


class Loopback:
    """The stand-in core in plain integers, one instruction after the other."""

    def __init__(self, config: SvpeConfig):
        self._config = config
        self._features: dict[int, int] = {}
        self._gathered = self._key = 0

    def execute(self, program: Program, memory: bytearray) -> None:
        """Do to ``memory`` what the program does."""
        for instruction in program.instructions:
            if instruction.op is Op.CONV:
                self._key = self._gathered
            elif isinstance(instruction, Transfer):
                self._transfer(program, instruction, memory)

    def _transfer(self, program, transfer, memory):
        buffer = transfer.buffer
        bits, word_bytes = buffer.word_bits(self._config), buffer.word_bytes(self._config)
        base = program.bases[transfer.region]
        starts = base + access.memory_bytes(transfer, self._config).reshape(-1)
        for start, address in zip(
            starts.tolist(), access.chip_words(transfer).reshape(-1).tolist(), strict=True
        ):
            place = slice(start, start + word_bytes)
            if transfer.op is Op.LOAD:
                word = int.from_bytes(memory[place], "little") & ((1 << bits) - 1)
                self._load(buffer, address, word)
            else:
                memory[place] = self._stored(address, bits).to_bytes(word_bytes, "little")

    def _load(self, buffer, address, word):
        if buffer == Buffer.FEATURES:
            self._features[address] = word
            return
        turned = self._gathered << 1 | self._gathered >> (KEY_BITS - 1)
        self._gathered = (turned ^ fold(word) ^ address) & ((1 << KEY_BITS) - 1)

    def _stored(self, address, bits):
        key = sum(self._key << n for n in range(0, bits, KEY_BITS)) & ((1 << bits) - 1)
        return self._features.get(address, 0) ^ key


def fold(word: int) -> int:
    """XOR of the 32-bit pieces of ``word``."""
    folded = 0
    while word:
        folded ^= word & ((1 << KEY_BITS) - 1)
        word >>= KEY_BITS
    return folded
