"""Refuses a simulation in RTL that lacks a C++ compiler, before data are read or anything runs.

Where the cache has the executable, none is needed and none is asked for.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qnn.backend.registry import DEFAULT
from qnn.errors import ToolError

if TYPE_CHECKING:
    from hw.spec.config import SvpeConfig
    from qnn.design import Design

HARDWARE = "rtl"  # the device whose simulator is compiled, of what a board gets


def check_simulator(design: "Design", device: str, images: int, waves: Path | None = None) -> None:
    """Raise where ``device`` could not run ``images`` of ``design``.

    Parameters
    ----------
    waves : the file of a second run that records, with an executable of its own

    Raises
    ------
    ToolError
        A tool is missing that the simulator is compiled with, and the cache has no simulator.
    """
    # Other back ends know themselves what their devices need.
    if device != HARDWARE or design.backend.name != DEFAULT:
        return
    from sim import dram, rtl

    image = design.artifact
    # As large as what will run, since the size is a part of the executable.
    size = dram.placed_bytes(image, -(-images // image.batch))
    words = rtl.memory_words(size, image.config)
    # Two, as one that cannot record is faster.
    for format in [None] if waves is None else [None, waves.suffix.removeprefix(".")]:
        rtl.require_simulator(image.config, verilog=verilog_of(design), words=words, waves=format)


def check_thorough(build: Path, design: "Design") -> None:
    """Raise where a thorough verification in RTL would stop for want of a compiler.

    It runs more simulators than a plain one: of other sizes of the memory, and of a board's pins.

    Raises
    ------
    ToolError
        A tool is missing that they are compiled with, and the cache lacks one of them.
    """
    import numpy as np

    from qnn.cli.board_trial import board_pins, board_sources
    from qnn.eda import verilator
    from sim import dram, rtl, runner

    if design.backend.name != DEFAULT:
        return
    try:
        verilator.compiler()
    # Only then is it worth making all trials' networks, which takes a second or two.
    except ToolError:
        batch = design.artifact.batch
        x = tuple(np.zeros((batch, *node.shape), np.int32) for node in design.graph.inputs)
        own = design.graph, design.artifact, x if len(x) > 1 else x[0]
        # A trial is one run; many share a size, and with it an executable.
        words = {
            max(
                trial.options.get("least_words", 0),
                rtl.memory_words(dram.placed_bytes(trial.artifact, 1), trial.artifact.config),
            )
            for trial in design.backend.trials(*own, HARDWARE, design.built)
        }
        for each in sorted(words):
            rtl.require_simulator(design.config, verilog=verilog_of(design), words=each)
        pins = board_pins(build)
        if pins:
            runner.require_executable(board_sources(design, pins), pins.top)


def check_served(design: "Design", memory_bytes: int, cores: int = 1) -> None:
    """Raise where no simulation with ``memory_bytes`` could be served to a driver.

    Raises
    ------
    ToolError
        A tool is missing that the simulator is compiled with, and the cache has no simulator.
    """
    # With the server's rule for sizes, which is not that of a simulation that ends by itself.
    from sim import rtl
    from sim.cosim import served_words

    words = served_words(design.config, memory_bytes)
    rtl.require_simulator(design.config, verilog=verilog_of(design), words=words, cores=cores)


def check_configuration(config: "SvpeConfig") -> None:
    """Raise where no small network could be simulated on ``config``.

    Raises
    ------
    ToolError
        A tool is missing that the simulator is compiled with, and the cache has no simulator.
    """
    from sim import rtl

    rtl.require_simulator(config)


def check_compiler() -> None:
    """Raise where no simulator could be compiled, and the cache has none of any configuration.

    For commands that know only late what configuration they need.

    Raises
    ------
    ToolError
        A tool is missing that simulators are compiled with.
    """
    from qnn.cache import cache_folder, is_kept
    from qnn.eda import verilator
    from sim.rtl import TOP

    # The configuration follows from the quantized network: seconds from here.
    try:
        verilator.compiler()
    except ToolError:
        if not any(map(is_kept, (cache_folder() / "builds").glob(f"{TOP}-*"))):
            raise


def verilog_of(design: "Design") -> Mapping[str, str] | None:
    """The Verilog of the build folder, as that is what a board would run; None without one."""
    from hw.spec.verilog_files import simulation_texts

    return None if design.built is None else simulation_texts(design.built)
