"""Verilog and a cocotb module in, test results out; executables are cached by their content."""

import hashlib
import logging
import os
import shutil
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qnn.cache import alone, cache_folder, is_kept, keep_files, kept_files
from qnn.eda import verilator
from qnn.errors import QnnError, ToolError
from qnn.files import scratch_folder

# Silent by itself: whoever waits on a terminal sees what takes so long.
LOG = logging.getLogger(__name__)
SIMULATORS = ("verilator", "icarus")
# A screen.
LOG_LINES = 40  # of a failed simulation, in the error
# Up to so much C++, one compilation of all of it takes less time than the headers precompiled for
# one of each file, which is 5 s of CPU beside the 9 s of the configuration ``test``, of 3 MB.
MOST_AT_ONCE_BYTES = 4 << 20


class SimulationFailed(QnnError):
    """A bench that failed, or that ran no test."""


@dataclass(frozen=True)
class Build:
    """An executable model. ``seconds`` is what this call took; a cached one costs nothing."""

    simulator: str
    toplevel: str
    folder: Path
    seconds: float
    cached: bool


@dataclass(frozen=True)
class Results:
    """The results of a bench; ``seconds`` is the wall-clock time of its process."""

    tests: int
    seconds: float
    log: str


def build(
    sources: Mapping[str, str],
    toplevel: str,
    *,
    parameters: Mapping[str, object] | None = None,
    simulator: str = "verilator",
    cache: bool = True,
    waves: str | None = None,
) -> Build:
    """Compile ``sources`` (file name to text), or take the executable from the cache.

    Parameters
    ----------
    parameters : Verilog parameters of ``toplevel``
    cache : False builds anew, and replaces what the cache has
    waves : "fst" or "vcd" for an executable of its own, which records waves on request; None for
        one that cannot and is faster

    Raises
    ------
    ToolError
        A tool is missing, or the Verilog does not compile.
    """
    # Before any tool is asked for, so that the error names the mistake.
    if simulator not in SIMULATORS:
        raise ValueError(f"simulator must be one of {', '.join(SIMULATORS)}, not '{simulator}'")
    parameters = dict(parameters or {})
    folder = _entry(sources, toplevel, parameters, simulator, waves)
    kept = Build(simulator, toplevel, folder, 0.0, True)
    if cache and is_kept(folder):
        return kept
    # Not before: what is kept runs where no compiler is.
    _check_tools(simulator, waves)
    with alone(folder):
        if cache and is_kept(folder):  # another process compiled it meanwhile
            return kept
        started = time.perf_counter()
        LOG.info("compiling simulator %s, which is kept for the next time", toplevel)
        _compile(sources, toplevel, parameters, simulator, waves, folder)
        return Build(simulator, toplevel, folder, time.perf_counter() - started, False)


def require_executable(
    sources: Mapping[str, str],
    toplevel: str,
    *,
    parameters: Mapping[str, object] | None = None,
    simulator: str = "verilator",
    waves: str | None = None,
) -> None:
    """Raise where ``build`` of the same would lack a tool; nothing is built.

    Raises
    ------
    ToolError
        A tool is missing, and the cache has no executable either.
    """
    try:
        _check_tools(simulator, waves)
    except ToolError:
        # Asked for last: a key takes the time to make all sources.
        if not is_kept(_entry(sources, toplevel, dict(parameters or {}), simulator, waves)):
            raise


def run(
    model: Build,
    test_module: str,
    *,
    plusargs: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    testcase: str | None = None,
    seed: int = 1,
    work: Path | None = None,
) -> Results:
    """Run the cocotb tests of ``test_module`` in folder ``work`` (a temporary one if None).

    Raises
    ------
    SimulationFailed
        A test failed, the simulator crashed, or there was no test; with the log's end and seed.
    """
    if work is None:
        with scratch_folder("qnn-run-") as folder:
            return run(
                model,
                test_module,
                plusargs=plusargs,
                environment=environment,
                testcase=testcase,
                seed=seed,
                work=Path(folder),
            )
    results, log = work / "results.xml", work / "simulation.log"
    started = time.perf_counter()
    try:
        _runner(model.simulator).test(
            test_module=test_module,
            hdl_toplevel=model.toplevel,
            hdl_toplevel_lang="verilog",
            testcase=testcase,
            build_dir=model.folder,
            test_dir=work,
            results_xml=str(results),
            plusargs=[f"+{argument}" for argument in plusargs],
            extra_env=dict(environment or {}),
            seed=seed,
            log_file=str(log),
        )
    except (SystemExit, RuntimeError):  # under pytest it leaves by SystemExit when a test fails
        pass
    seconds = time.perf_counter() - started
    text = log.read_text(errors="replace") if log.exists() else ""
    tests, failed = _count(results)
    # A bench in which nothing ran has proved nothing.
    if failed or not tests:
        what = f"{failed} of {tests} tests failed" if tests else "no test ran"
        tail = "\n".join(text.splitlines()[-LOG_LINES:])
        raise SimulationFailed(f"{test_module}: {what} (seed {seed})\n{tail}")
    return Results(tests, seconds, text)


def simulate_bench(
    sources: Mapping[str, str],
    toplevel: str,
    test_module: str,
    *,
    parameters: Mapping[str, object] | None = None,
    simulator: str = "verilator",
    **options,
) -> Results:
    """Build ``sources`` and run the cocotb tests of ``test_module``; ``options`` go to ``run``."""
    model = build(sources, toplevel, parameters=parameters, simulator=simulator)
    return run(model, test_module, **options)


def _entry(sources, toplevel, parameters, simulator, waves):
    """The folder of the cache for an executable."""
    tools = verilator.versions() if simulator == "verilator" else _icarus_version()
    # All that what it computes depends on is in the key, so that it never has to be invalidated.
    flags = (verilator.VERILATE, verilator.OPTIMISE, verilator.REPAIR, waves)
    key = _digest(simulator, tools, flags, toplevel, sorted(parameters.items()), *sources.items())
    return cache_folder() / "builds" / f"{toplevel}-{key}"


def _check_tools(simulator, waves):
    """Raise where a tool is missing that makes an executable."""
    if simulator == "icarus":
        _icarus_version()
        return
    verilator.root()
    verilator.compiler()
    if waves:
        verilator.check_waves(waves)


def _executable(simulator, toplevel):
    """File name that cocotb's runner looks for."""
    return toplevel if simulator == "verilator" else "sim.vvp"


def _digest(*parts):
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def _compile(sources, toplevel, parameters, simulator, waves, folder):
    with scratch_folder("qnn-build-") as scratch:
        paths = []
        for name, text in sources.items():
            paths.append(Path(scratch) / name)
            paths[-1].write_text(text)
        if simulator == "verilator":
            _verilate(paths, toplevel, parameters, waves, Path(scratch))
        else:
            _icarus(paths, toplevel, parameters, Path(scratch))
        keep_files([Path(scratch) / _executable(simulator, toplevel)], folder)


def _verilate(paths, toplevel, parameters, waves, scratch):
    """Verilate and make. The simulator's own runtime is the same for all: compiled once, kept."""
    verilate, make = verilator.commands(paths, toplevel, parameters, scratch, waves=waves)
    _call(verilate, verilator.environment())
    if sum(file.stat().st_size for file in scratch.glob("*.cpp")) <= MOST_AT_ONCE_BYTES:
        # One compiler run over all files, without precompiled headers.
        make.append("VM_PARALLEL_BUILDS=0")
    # No design in it: Verilator's own runtime is the same for all.
    # Objects are linked with others, which another compiler may lay out in another way.
    tools = _digest(verilator.versions(), verilator.compiler_line(), verilator.OPTIMISE, waves)
    kept = cache_folder() / "builds" / f"runtime-{tools}"
    if not is_kept(kept):
        with alone(kept):
            if not is_kept(kept):
                _call(make, verilator.environment())
                keep_files(scratch.glob("verilated*.o"), kept)
    for compiled in kept_files(kept):
        shutil.copy(compiled, scratch)  # newer than its source, so that make takes it
    _call(make, verilator.environment())


def _icarus(paths, toplevel, parameters, scratch):
    (scratch / "timescale.f").write_text("+timescale+1ns/1ps\n")
    command = ["iverilog", "-g2012", "-s", toplevel, "-f", str(scratch / "timescale.f")]
    command += ["-o", str(scratch / _executable("icarus", toplevel))]
    command += [f"-P{toplevel}.{name}={value}" for name, value in parameters.items()]
    _call(command + [str(path) for path in paths], dict(os.environ))


def _call(command, environment):
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        # Error, error and %Error, of Verilator and of the compiler.
        errors = [line for line in lines if "rror" in line] or lines[-LOG_LINES:]
        text = "\n".join(errors[:LOG_LINES])
        raise ToolError(f"{Path(command[0]).name} failed with status {done.returncode}:\n{text}")


def _icarus_version():
    if not shutil.which("iverilog"):
        raise ToolError(
            "simulator 'icarus' needs iverilog, not found on PATH; "
            "apt install iverilog, or use 'verilator'"
        )
    done = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0]


def _runner(simulator):
    from cocotb_tools.runner import get_runner

    return get_runner(simulator)


def _count(results):
    if not results.exists():
        return 0, 0
    suites = ElementTree.parse(results).getroot().iter("testsuite")
    cases = [case for suite in suites for case in suite.iter("testcase")]
    failed = sum(
        case.find("failure") is not None or case.find("error") is not None for case in cases
    )
    return len(cases), failed
