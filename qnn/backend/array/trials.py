"""What a thorough verification tries on the array, beside the plain run of the user's inputs."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import PurePath

import numpy as np

from hw.spec.image import Image
from hw.spec.isa.header import INSTRUCTION_BYTES
from hw.spec.verilog_files import CELLS, WORDS
from qnn.backend.trial import Trial
from qnn.compiler import compile_graph
from qnn.eda.equivalence import compare
from qnn.errors import ToolError
from qnn.ir.graph import Graph
from qnn.runtime.given import images_of
from qnn.runtime.limit import cycle_limit
from qnn.runtime.tensors import pack_inputs
from sim import dram, functional, rtl
from sim.cycles import simulate_cycles
from sim.drawn_program import displaced, draw_program
from sim.exercise import exercises
from sim.memory_timing import MemoryTiming

SEEDS = (1, 2, 3)  # of memories that stall
EXERCISE_SEED = 1  # of the networks that are made for the purpose
# From start to reset: while the first instructions are fetched, while weights and inputs are
# loaded, and in the middle of computation and stores.
RESETS = (25, 60, 110, 190, 320, 530, 870, 1430)
BASES = (dram.BASE, dram.OTHER_BASE)
LATENCY = 32  # of the memory in cycles, where no timing is given
RESET_PARTS = 7
PROGRAM_SEEDS = range(10)  # of programs that are drawn
# Offsets in which each upper bit is once a one, and no sum of one carries into the next.
OFFSETS = (0x5555_5000, 0xAAAA_A000)
NO_OPERATION = 0xF  # the highest code, which no instruction has


def functional_trials(image: Image) -> Iterator[Trial]:
    """Networks of its own: the functional simulator has no memory that stalls and no reset."""
    yield from _exercises(image, {})


def rtl_trials(graph: Graph, image: Image, x, built: Mapping[str, bytes] | None) -> Iterator[Trial]:
    """Stalls, resets and errors on the user's network, proofs, then networks of its own."""
    # One run is enough for what follows, and RTL is slow.
    x = images_of(x, slice(0, image.batch))
    own = {"graph": graph, "artifact": image, "inputs": x}
    inputs = pack_inputs(image, x)
    memory, elsewhere = (dram.place(image, inputs, base=base) for base in BASES)
    for seed in SEEDS:
        timing = {"timing": MemoryTiming.stalled(seed)}
        yield Trial(name=f"a memory that stalls, seed {seed}", options=timing, **own)
    slow = {"timing": MemoryTiming(latency=111, rate=image.config.bus_bytes * 3 // 8)}
    yield Trial(name="a slow memory", options=slow, **own)
    yield Trial(name="resets in the middle of a run", options={"resets": RESETS}, **own)
    options = {"base": elsewhere.base}
    yield Trial(name="a memory at other addresses", options=options, **own)
    yield from _errors(own, image, memory, elsewhere)
    yield from _proofs(own, built or {})
    # As large as the user's, so that all of them share one executable.
    words = rtl.memory_words(len(memory.content), image.config)
    yield from _exercises(image, {"least_words": words})
    yield from _programs(own, image, words)


def _errors(own, image, memory, elsewhere):
    """Runs that end with an error: of a read, of a write, and of an instruction."""
    half = image.program_bytes // 2
    # The address that is told has each bit once as a one and once as a zero, as far as it can.
    flips = ((1 << bits) - 1 for bits in range(12, -1, -1))
    flipped = next(half ^ flip for flip in flips if half ^ flip < image.program_bytes)
    other = MemoryTiming(error_read=elsewhere.regions[0].address + flipped)
    options = {"timing": other, "base": elsewhere.base}
    name = "a memory error of the program at another address"
    yield Trial(name=name, options=options, fails=True, **own)
    load, store = (memory.regions[n] for n in (0, 3))
    # The middle of the weights and of an output: neither the first burst nor the last.
    middle = image.program_bytes + (load.size - image.program_bytes) // 2
    for what, timing in (
        ("of the program", MemoryTiming(error_read=load.address + half)),
        ("of the weights", MemoryTiming(error_read=load.address + middle)),
        ("of the output", MemoryTiming(error_write=store.address + store.size // 2)),
    ):
        yield Trial(name=f"a memory error {what}", options={"timing": timing}, fails=True, **own)
    payload = bytearray(image.payload)
    number = image.program_bytes // INSTRUCTION_BYTES // 2
    payload[number * INSTRUCTION_BYTES] |= NO_OPERATION
    broken = replace(image, payload=bytes(payload))
    # From the sound program, as this one does not decode.
    limit = {"limit": cycle_limit(image, LATENCY)}
    changed = {**own, "artifact": broken, "options": limit}
    yield Trial(name="an instruction that does not exist", fails=True, **changed)


def _proofs(own, built):
    """That the bodies which synthesis takes compute what those do that are simulated."""
    for path in sorted(path for path in built if path.startswith(CELLS)):
        words = WORDS + path.removeprefix(CELLS)
        prove = partial(_difference, built.get(words, b""), built[path], PurePath(path).stem)
        yield Trial(name=f"a proof that {path} computes what {words} does", proof=prove, **own)


def _difference(words, cells, module):
    """What of a module is not proved equal in both bodies, in one line; None if all is."""
    try:
        proved, left = compare(words.decode(), cells.decode(), module)
    # A file that Yosys does not read is no proof.
    except ToolError as error:
        return str(error)
    return f"{left} of {proved + left} registers and outputs are not proved equal" if left else None


def _exercises(image, options):
    for name, graph, batch in exercises(image.config, EXERCISE_SEED):
        rng = np.random.default_rng(EXERCISE_SEED)
        arrays = tuple(
            rng.integers(node.type.low, node.type.high + 1, (batch, *node.shape))
            for node in graph.inputs
        )
        made = compile_graph(graph, image.config, batch)
        own = {"graph": graph, "artifact": made, "inputs": arrays if len(arrays) > 1 else arrays[0]}
        # Steps that compute nothing new change no value: only the cycles tell of them.
        cycles = simulate_cycles(made, LATENCY).cycles if options else None
        yield Trial(name=f"a network {name}", options=options, cycles=cycles, **own)
        if options:
            # In all parts of a run, which of a user's network may take minutes.
            again = {**options, "resets": _parts(cycles)}
            yield Trial(name=f"a network {name}, reset in all parts", options=again, **own)
            stalled = {**options, "timing": MemoryTiming.stalled(EXERCISE_SEED)}
            yield Trial(name=f"a network {name}, stalled", options=stalled, **own)


def _parts(cycles):
    """Cycles at which a run of so many is in each of its parts."""
    return tuple(cycles * part // RESET_PARTS for part in range(1, RESET_PARTS))


def _programs(own, image, words):
    """Programs that no compiler makes, the first of them each in another circumstance."""
    programs = [draw_program(image.config, seed) for seed in PROGRAM_SEEDS]
    parts = _parts(simulate_cycles(programs[0].image, LATENCY).cycles)
    circumstances = [
        ("reset in all parts", {"resets": parts}),
        ("by a slow host", {"slow_host": True, "base": dram.OTHER_BASE}),
        ("at large offsets", {"below": OFFSETS[0]}),
        ("at other large offsets", {"below": OFFSETS[1]}),
        ("stalled", {"timing": MemoryTiming.stalled(EXERCISE_SEED)}),
    ]
    for seed, drawn in zip(PROGRAM_SEEDS, programs, strict=True):
        name, options = circumstances[seed] if seed < len(circumstances) else ("plain", {})
        moved = displaced(drawn.image, options.get("below", 0))
        yield Trial(
            name=f"program {seed} drawn at random, {name}",
            graph=own["graph"],
            artifact=moved,
            inputs=drawn.inputs,
            expected=functional.run(drawn.image, drawn.inputs).outputs,
            options={**options, "least_words": words},
        )
