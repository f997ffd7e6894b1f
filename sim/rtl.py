"""Runs an image on one or more copies of the accelerator's Verilog, with one memory around them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from qnn.backend.waves import Waves
from qnn.files import scratch_folder
from qnn.runtime import handshake
from qnn.runtime.given import Given, image_count
from qnn.runtime.handshake import Outcome
from qnn.runtime.limit import cycle_limit
from qnn.runtime.tensors import pack_inputs, unpack_outputs
from sim import dram, runner
from sim.memory_files import read_words, write_words
from sim.memory_timing import MemoryTiming
from sim.trace import Trace, read_traces
from sim.watch import disturbances, misread, violations
from sim.wave_file import keep_waves, wave_arguments

ADDRESS_BITS, ID_BITS = 40, 1  # of m_axi, as hw.axi has them
# One for each memory port that a Zynq UltraScale+ lends to its logic.
MOST_CORES = 4
LEAST_WORDS = 1 << 17  # of simulated memory: small networks share one build
BENCH = "sim.bench.accelerator"
TOP = "qnn_testbench"  # the module of testbench.sv
BENCH_SOURCES = ("storage.sv", "memory.sv", "arbiter.sv", "trace.sv", "testbench.sv")


@dataclass(frozen=True, eq=False)
class RtlRun:
    """One run of the image, on one core.

    ``failure`` says in one line why the run did not end well; ``outcome`` is None after a
    time-out.
    """

    outcome: Outcome | None
    trace: Trace
    failure: str | None
    simulated_cycles: int
    seconds: float

    @property
    def cycles(self) -> int:
        """From start to done, as the accelerator counts them."""
        return self.outcome.cycles if self.outcome else self.simulated_cycles


@dataclass(frozen=True, eq=False)
class RtlResult:
    """All runs of one simulation, up to one that timed out.

    Members
    -------
    outputs : (images, channels, height, width) integers of each output
    broken : a rule that was broken and that belongs to no run, in one line: guard bytes, the AXI
        protocol, the counters; None if all held
    build_seconds : 0 where the build came from the cache
    """

    outputs: tuple[np.ndarray, ...]
    runs: tuple[RtlRun, ...]
    broken: str | None
    build_seconds: float
    cycles_per_second: float


def build(
    config: SvpeConfig,
    *,
    verilog: Mapping[str, str] | None = None,
    words: int = LEAST_WORDS,
    cores: int = 1,
    simulator: str = "verilator",
    use_cache: bool = True,
    waves: str | None = None,
) -> runner.Build:
    """The executable for ``config``; ``verilog`` replaces the generated text.

    Parameters
    ----------
    waves : "fst" or "vcd" for one that can record them
    """
    return runner.build(
        **_asked(config, verilog, words, cores), simulator=simulator, cache=use_cache, waves=waves
    )


def require_simulator(
    config: SvpeConfig,
    *,
    verilog: Mapping[str, str] | None = None,
    words: int = LEAST_WORDS,
    cores: int = 1,
    waves: str | None = None,
) -> None:
    """Raise where ``build`` of the same would lack a tool; nothing is built.

    Raises
    ------
    ToolError
        A tool is missing, and the cache has no executable either.
    """
    runner.require_executable(**_asked(config, verilog, words, cores), waves=waves)


def _asked(config, verilog, words, cores):
    """What is asked of ``sim.runner`` for an executable."""
    verilog = generated(config) if verilog is None else verilog
    # In one order, so that files of a build and equal ones that were just made share an executable.
    verilog = dict(sorted(verilog.items()))
    bench = {name: Path(__file__).with_name(name).read_text() for name in BENCH_SOURCES}
    parameters = {
        "BUS_BITS": config.bus_bits,
        "FEATURE_BITS": config.feature_bits,
        "EPILOGUE_WORDS": config.epilogue_words,
        "ADDRESS_BITS": ADDRESS_BITS,
        "ID_BITS": ID_BITS,
        "WORDS": words,
        "CORES": cores,
    }
    return {"sources": verilog | bench, "toplevel": TOP, "parameters": parameters}


def generated(config: SvpeConfig) -> Mapping[str, str]:
    """The accelerator's Verilog. Amaranth is loaded when it is first asked for."""
    from hw.verilog import verilog

    return verilog(config)


def execute(
    image: Image,
    x: Given,
    *,
    verilog: Mapping[str, str] | None = None,
    timing: MemoryTiming | None = None,
    stalls: int | None = None,
    cores: int = 1,
    paths: int = 1,
    limit: int | None = None,
    resets: Sequence[int] = (),
    base: int = dram.BASE,
    below: int = 0,
    slow_host: bool = False,
    least_words: int = 0,
    simulator: str = "verilator",
    use_cache: bool = True,
    work: Path | None = None,
    waves: Waves | None = None,
) -> RtlResult:
    """Run ``image`` on ``x``, as ``sim.functional.run`` takes it, a batch at a time.

    Batches go to the cores in turn, ``cores`` at a time, which start in one cycle. A run that fails
    says so in its ``failure``; a time-out ends the simulation.

    Parameters
    ----------
    timing : of the memory
    stalls : where no timing is given, the seed of a memory that stalls at random
    cores : copies of the accelerator, 1 to 4, each with a port of the memory
    paths : beats that the memory moves in a cycle, each way, over all ports
    limit : cycles after which a run counts as hung
    resets : cycles from a start to a reset, of runs of the first batch that come before all others
        and that are stopped
    base : address of the simulated memory, of whole pages
    below : whole pages by which bases of all but the image are lower than its program's offsets say
    slow_host : whether the bus of the registers has pauses, and settings are read back
    least_words : of the simulated memory, so that simulations of several sizes share an executable
    work : folder that keeps trace, memory and log; None throws them away
    waves : what to record; the simulation ends with it, as by a time-out

    Raises
    ------
    DeviceError
        The image is for another device.
    """
    check_cores(cores, paths)
    if work is None:
        asked = locals().copy()
        with scratch_folder("qnn-rtl-") as folder:
            return execute(**{**asked, "work": Path(folder)})
    work = Path(work).resolve()  # the simulator runs inside of it
    memory = dram.place(image, pack_inputs(image, x), base=base)
    words = max(least_words, memory_words(len(memory.content), image.config))
    model = build(
        image.config,
        verilog=verilog,
        words=words,
        cores=cores,
        simulator=simulator,
        use_cache=use_cache,
        waves=waves and waves.format,
    )
    timing = timing or (MemoryTiming() if stalls is None else MemoryTiming.stalled(stalls))
    # The limit counts beats at the bus's rate, and a slower memory takes as many times longer.
    slower = -(-image.config.bus_bytes // (timing.rate or image.config.bus_bytes))
    # Stalls of all five channels together stay well below this factor; a limit may be generous.
    slower *= (8 if timing.stalls else 1) * cores
    limit = limit or cycle_limit(image, timing.latency) * slower
    plusargs = [*timing.plusargs(), f"paths={paths}", f"limit={limit}"]
    plusargs += wave_arguments(waves, work) if waves else []
    host = {"resets": list(resets), "limit": limit, "slow_host": slow_host}
    result, log = _simulate(model, image, memory, cores, plusargs, below, host, work)
    if waves:
        keep_waves(waves, work)
    after = read_words(work / "after.hex", image.config.bus_bytes)[: len(memory.content)]
    _check_identity(result, image)

    traces = [read_traces(work / f"trace.txt.{core}", image.config) for core in range(cores)]
    runs = tuple(
        _run(run, traces[number % cores][number // cores], image, limit, number // cores)
        for number, run in enumerate(result["runs"])
    )
    # Of the runs that were made: a time-out ends the simulation before the others.
    regions = np.stack([memory.output(after, run) for run in range(len(runs))])
    outputs = unpack_outputs(image, regions, min(image_count(x), len(runs) * image.batch))
    seconds, cycles = sum(run.seconds for run in runs), sum(run.simulated_cycles for run in runs)
    # In the order in which one follows from another: a broken bus explains a changed memory.
    broken = (
        *violations(result["violations"], log),
        *disturbances(memory, after, [run.trace for run in runs], image.config),
        *_misread(runs, image, memory),
    )
    speed = cycles / seconds if seconds else 0.0
    return RtlResult(outputs, runs, next(iter(broken), None), model.seconds, speed)


def _misread(runs, image, memory):
    """A line for each register, or token, of a run that says what did not happen."""
    for number, run in enumerate(runs):
        if run.outcome:
            base = memory.bases(number).image
            yield from misread(run.outcome, run.trace, image, base)


def check_cores(cores: int, paths: int) -> None:
    """Refuse a count that no board has.

    Raises
    ------
    ValueError
        ``cores`` is not 1 to 4, or ``paths`` is none.
    """
    if not 1 <= cores <= MOST_CORES:
        raise ValueError(f"cores must be from 1 to {MOST_CORES}, not {cores}")
    if paths < 1:
        raise ValueError(f"paths of the memory must be at least 1, not {paths}")


def memory_words(content_bytes: int, config: SvpeConfig) -> int:
    """Words of the simulated memory that hold ``content_bytes``, and never few."""
    # A power of two: the size is a parameter of the build, and each size is a build.
    return max(LEAST_WORDS, 1 << (content_bytes // config.bus_bytes).bit_length())


def _simulate(model, image, memory, cores, plusargs, below, host, work):
    write_words(work / "memory.bin", memory.content, image.config.bus_bytes)
    # All cores of a round start by one write, and so have one number.
    starts = [
        handshake.start_writes(image, memory.bases(run, below), handshake.next_number(run // cores))
        for run in range(memory.runs)
    ]
    job = {
        "rounds": [starts[first : first + cores] for first in range(0, len(starts), cores)],
        "identity": handshake.IDENTITY,
        "expected_identity": [handshake.MAGIC, image.config.fingerprint],
        "after": handshake.AFTER,
        "result": str(work / "result.json"),
        **host,
    }
    (work / "job.json").write_text(json.dumps(job))
    files = {"memory": "memory.bin", "trace": "trace.txt", "dump": "after.hex"}
    plusargs = [f"{name}={work / file}" for name, file in files.items()] + plusargs
    plusargs += [f"words={len(memory.content) // image.config.bus_bytes}", f"base={memory.base:x}"]
    job = {"QNN_JOB": str(work / "job.json")}
    log = runner.run(model, BENCH, plusargs=plusargs, environment=job, work=work).log
    return json.loads((work / "result.json").read_text()), log


def _check_identity(result, image):
    registers = [register for register, _ in handshake.IDENTITY]
    handshake.check_identity(dict(zip(registers, result["identity"], strict=True)), image, "rtl")


def _run(run, trace, image, limit, turn):
    after = None
    if run["timed_out"]:
        failure = f"time-out: not done after {limit} cycles"
    else:
        registers = [register for register, _ in handshake.AFTER]
        after = handshake.outcome(dict(zip(registers, run["after"], strict=True)))
        failure = handshake.failure(after, image, handshake.next_number(turn))
    return RtlRun(after, trace, failure, run["simulated_cycles"], run["seconds"])
