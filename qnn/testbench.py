"""The test bench of a build: inputs, the reference's outputs for them, and a back end's files."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from qnn.backend.protocol import Artifact, Backend
from qnn.errors import CompileError
from qnn.files import write_whole
from qnn.ir.encode import Arrays
from qnn.ir.graph import Graph
from qnn.ir.reference import reference

FOLDER = "testbench/"  # in a build
SEED = 1  # of the inputs that a build comes with; any, as long as it is always the same
PROGRAM = ".sh"  # ending of the files that a user runs


def portable_bench(
    graph: Graph,
    artifact: Artifact,
    backend: Backend,
    built: Iterable[str],
    x: Arrays | None = None,
) -> dict[str, bytes]:
    """Path in a build to content: a simulation that needs no part of ``qnn``.

    Parameters
    ----------
    built : paths of the files of the build, with its Verilog
    x : blocks of integers of the inputs' types; by default one run's, drawn from a fixed seed
    """
    x = drawn_inputs(graph, artifact.batch) if x is None else x
    tensors = reference(graph, x, outputs_only=True)
    outputs = tuple(tensors[output.name] for output in graph.outputs)
    made = backend.testbench(artifact, x, outputs, built)
    return {FOLDER + name: data for name, data in made.items()}


def drawn_inputs(graph: Graph, count: int, seed: int = SEED) -> Arrays:
    """``count`` random images for each input, over all integers of its type."""
    rng = np.random.default_rng(seed)
    arrays = tuple(
        rng.integers(node.type.low, node.type.high + 1, (count, *node.shape), np.int32)
        for node in graph.inputs
    )
    return arrays if len(arrays) > 1 else arrays[0]


def write_files(folder: Path, made: dict[str, bytes]) -> None:
    """Write test bench files into a build folder, each whole; other files there stay.

    Raises
    ------
    CompileError
        The folder is not writable, or the disk is full.
    """
    try:
        for name, data in made.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
            make_runnable(path)
    except OSError as error:
        raise CompileError(
            f"{folder}: a test bench needs a writable folder with room, but got "
            f"'{error.strerror}'; copy the build to one"
        ) from None


def make_runnable(path: Path) -> None:
    """Let a shell script be started by its name."""
    if path.suffix == PROGRAM:
        path.chmod(path.stat().st_mode | 0o111)
