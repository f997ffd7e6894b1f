"""``qnn check`` of a float model: all that it lacks, before any data is read, and its size."""

import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from qnn.cli.exit_codes import ExitCode
from qnn.cli.float_options import Shapes, is_file, is_onnx, read_file, shapes_in
from qnn.cli.model_sizes import ModelSizes, print_sizes, sizes_of
from qnn.cli.model_sizes import fields as size_fields
from qnn.cli.output import note, print_json, print_table
from qnn.cli.sources import read_config
from qnn.errors import ModelError, QnnError, QnnWarning

if TYPE_CHECKING:
    from qnn.frontend.faults import Fault
    from qnn.frontend.graph import FloatGraph
    from qnn.frontend.onnx.compare import RuntimeDifference
    from qnn.nn.weights import LoadedWeights

OBJECTS = 200_000  # between two looks for cycles of them; importing torch makes millions that stay
# Enough for ranges of activations, which decide no more here than that there are some.
IMAGES = 2  # random ones that a network is quantized on, to see whether an array takes it


@dataclass(frozen=True)
class Target:
    """The accelerator that a model is checked against: how the command line names it."""

    config: str | None
    settings: list[str] | None
    backend: str

    @property
    def wanted(self) -> bool:
        """Whether the user asked for an accelerator at all."""
        return bool(self.config or self.settings)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Python looks for cycles of objects less often: a sixth of what a check takes is that."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@rare_collections()
def check_model(
    name: str, checkpoint: Path | None, shapes: list[str], target: Target, as_json: bool
) -> None:
    """Print what the float model called ``name`` lacks; leaves with 3 if that is anything."""
    # Before torch is loaded, which takes seconds.
    given = shapes_in(shapes)
    if not is_onnx(name) and not all(isinstance(each, tuple) for each in given):
        raise typer.BadParameter(
            "--input-shape =NUMBER is of an .onnx file that takes a number; give sizes"
        )
    from qnn.frontend.faults import Fault, FaultyModel, Site

    found, faults, fits = None, (), None
    try:
        found = _captured(name, checkpoint, given)
        fits = _fitted(found.graph, target) if target.wanted else None
    except FaultyModel as error:
        faults = error.faults
    except _Unfit as error:
        faults = (Fault(Site("", ""), *error.args),)
    if as_json:
        print_json(_fields(name, found, faults, fits))
    else:
        _print(name, found, faults, fits)
    if faults:
        raise typer.Exit(ExitCode.REFUSAL)


class _Unfit(QnnError):
    """Why an accelerator does not take a network that shifts and adds can compute."""


@dataclass(frozen=True)
class _Captured:
    """A float graph without faults, how large it is, and of a file how far from onnxruntime.

    Members
    -------
    weights : what was taken of a checkpoint; None where none was given
    """

    graph: "FloatGraph"
    sizes: ModelSizes
    difference: "RuntimeDifference | None"
    weights: "LoadedWeights | None"


def _captured(name: str, checkpoint: Path | None, shapes: Shapes) -> _Captured:
    from qnn.frontend.capture import capture
    from qnn.frontend.example import example_of
    from qnn.frontend.fuse import fuse
    from qnn.nn.weights import load_weights
    from qnn.nn.zoo import ZOO, load_model

    difference, weights = None, None
    if is_file(name):
        model, difference = read_file(name, shapes)
        # Of ONNX they are the module's own now, whose channels come first.
        shapes = [] if is_onnx(name) else shapes
    else:
        sys.path.insert(0, "")  # module:factory may lie in the current folder
        model = load_model(name)
        weights = load_weights(model, checkpoint, name) if checkpoint else None
    known = [ZOO[name].shape] if name in ZOO else []
    example = example_of(model, shapes or known)
    if example is None:
        raise ModelError(
            f"model '{name}' does not say what it takes; give --input-shape 3,224,224, once for "
            f"each input, or let the model have an example_input_array"
        )
    graph = capture(model, example)
    # Its passes refuse nothing that capture takes; a fault of theirs is found here, not later.
    return _Captured(graph, sizes_of(fuse(graph, checked=True)), difference, weights)


@dataclass(frozen=True)
class _Fit:
    """An array that takes the network, the cycles of one image by its model, and advice.

    Members
    -------
    advice : on arrays that suit the network better, a line each
    """

    config: str
    cycles: float
    advice: tuple[str, ...]


def _fitted(graph: "FloatGraph", target: Target) -> _Fit:
    """The configuration, if its array takes the network, quantized on random images.

    Raises
    ------
    _Unfit
        It does not; the text is the compiler's.
    """
    import torch

    from qnn.design import compile
    from qnn.ptq.auto.options import Auto
    from qnn.ptq.export import export
    from qnn.ptq.quantize import quantize

    # Any images do: whether layers fit depends on shapes and widths, hardly on weights.
    generator = torch.Generator().manual_seed(0)
    images = tuple(
        torch.randn(IMAGES, *source.shape, generator=generator) for source in graph.inputs
    )
    try:
        with warnings.catch_warnings():
            # What random images reach says nothing of the user's.
            warnings.simplefilter("ignore", QnnWarning)
            quiet = Auto(report=lambda line: None)
            integers = export(quantize(graph, images, rounding="nearest", terms=1, auto=quiet))
        config = read_config(target.config, target.settings, integers, backend=target.backend)
        design = compile(integers, config, backend=target.backend)
    except QnnError as error:
        problem, _, cure = str(error).rpartition("; ")
        raise _Unfit(f"does not fit: {problem or cure}", cure) from error
    cycles, advice = design.backend.costs(design.artifact).cycles, design.backend.advice
    return _Fit(str(config), cycles, advice(integers, config))


def _fields(
    name: str, found: _Captured | None, faults: "tuple[Fault, ...]", fits: _Fit | None
) -> dict:
    graph = found and found.graph
    difference, weights = (found.difference, found.weights) if found else (None, None)
    return {
        "model": name,
        "fits": not faults,
        "config": fits.config if fits else None,
        "cycles_per_image": fits.cycles if fits else None,
        "advice": list(fits.advice) if fits else [],
        "inputs": {source.name: list(source.shape) for source in graph.inputs} if graph else None,
        "layers": len(graph.nodes) - len(graph.inputs) if graph else None,
        "sizes": size_fields(found.sizes) if found else None,
        "differs_from_onnxruntime": difference.largest if difference else None,
        "weights": {each.name: each.source for each in weights.matches} if weights else None,
        "faults": [
            {
                "layer": fault.site.path,
                "operator": fault.site.operator,
                "file": fault.site.file or None,
                "line": fault.site.line or None,
                "problem": fault.problem,
                "cure": fault.cure,
            }
            for fault in faults
        ],
    }


def _print(
    name: str, found: _Captured | None, faults: "tuple[Fault, ...]", fits: _Fit | None
) -> None:
    if faults:
        rows = [
            (
                fault.site.path or "(the model itself)",
                fault.site.operator,
                fault.site.source,
                fault.problem,
                fault.cure,
            )
            for fault in faults
        ]
        print_table(name, ("layer", "operator", "line", "what", "what to do"), rows)
        print(f"{name}: {len(faults)} fault{'s' * (len(faults) > 1)}")
        return
    graph = found.graph
    sizes = ", ".join(f"{each.name} {'x'.join(map(str, each.shape))}" for each in graph.inputs)
    fitting = f"; fits {fits.config}" if fits else ""
    count = len(graph.nodes) - len(graph.inputs)
    print(f"{name}: no fault; {count} operators, input {sizes}{fitting}")
    if found.difference:
        print(found.difference)
    if fits:
        print(f"{fits.cycles:,.0f} cycles per image, with one term per weight, by the cycle model")
        for line in fits.advice:
            print(line)
    print_sizes(found.sizes)
    if found.weights:
        _print_weights(found.weights)


def _print_weights(weights: "LoadedWeights") -> None:
    """Print which tensor of a checkpoint is which of the model's, where names differ."""
    rows = [(m.name, m.source, "x".join(map(str, m.shape))) for m in weights.matches]
    if all(name == source for name, source, _ in rows):
        print(f"{weights.path}: all {len(rows)} tensors have the model's names")
    else:
        print_table(str(weights.path), ("the model's", "the checkpoint's", "shape"), rows)
    if weights.note:
        note(weights.note)
