"""``qnn check module:factory``: all that a float model lacks, before any data is read."""

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from qnn.cli.exit_codes import ExitCode
from qnn.cli.output import print_json, print_table
from qnn.cli.sources import read_config
from qnn.errors import ModelError, QnnError, QnnWarning

if TYPE_CHECKING:
    from qnn.frontend.faults import Fault
    from qnn.frontend.graph import FloatGraph

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


def check_model(
    name: str, checkpoint: Path | None, shapes: list[str], target: Target, as_json: bool
) -> None:
    """Print what the float model called ``name`` lacks; leaves with 3 if that is anything."""
    # Before torch is loaded, which takes seconds.
    sizes = [_shape(text) for text in shapes]
    from qnn.frontend.faults import Fault, FaultyModel, Site

    graph, faults, fits = None, (), None
    try:
        graph = _captured(name, checkpoint, sizes)
        fits = _fitted(graph, target) if target.wanted else None
    except FaultyModel as error:
        faults = error.faults
    except _Unfit as error:
        faults = (Fault(Site("", ""), *error.args),)
    if as_json:
        print_json(_fields(name, graph, faults, fits))
    else:
        _print(name, graph, faults, fits)
    if faults:
        raise typer.Exit(ExitCode.REFUSAL)


class _Unfit(QnnError):
    """Why an accelerator does not take a network that shifts and adds can compute."""


def _shape(text: str) -> tuple[int, ...]:
    parts = text.replace("x", ",").split(",")
    if not all(part.strip().isdecimal() and int(part) for part in parts):
        raise typer.BadParameter(
            f"--input-shape needs sizes with commas and without the batch, as 3,224,224, not "
            f"'{text}'"
        )
    return tuple(int(part) for part in parts)


def _captured(name: str, checkpoint: Path | None, shapes: list[tuple[int, ...]]) -> "FloatGraph":
    from qnn.frontend.capture import capture
    from qnn.frontend.example import example_of
    from qnn.frontend.fuse import fuse
    from qnn.nn.zoo import ZOO, load_model

    sys.path.insert(0, "")  # module:factory may lie in the current folder
    model = load_model(name, checkpoint)
    known = [ZOO[name].shape] if name in ZOO else []
    example = example_of(model, shapes or known)
    if example is None:
        raise ModelError(
            f"model '{name}' does not say what it takes; give --input-shape 3,224,224, once for "
            f"each input, or let the model have an example_input_array"
        )
    graph = capture(model, example)
    # Its passes refuse nothing that capture takes; a fault of theirs is found here, not later.
    fuse(graph, checked=True)
    return graph


def _fitted(graph: "FloatGraph", target: Target) -> str:
    """The configuration, if its array takes the network, quantized on random images.

    Raises
    ------
    _Unfit
        It does not; the text is the compiler's.
    """
    import torch

    from qnn.design import compile
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
            integers = export(quantize(graph, images, rounding="nearest", terms=1))
        config = read_config(target.config, target.settings, integers, backend=target.backend)
        compile(integers, config, backend=target.backend)
    except QnnError as error:
        problem, _, cure = str(error).rpartition("; ")
        raise _Unfit(f"does not fit: {problem or cure}", cure) from error
    return str(config)


def _fields(name, graph, faults: "tuple[Fault, ...]", fits: str | None) -> dict:
    return {
        "model": name,
        "fits": not faults,
        "config": fits,
        "inputs": {source.name: list(source.shape) for source in graph.inputs} if graph else None,
        "layers": len(graph.nodes) - len(graph.inputs) if graph else None,
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


def _print(name, graph, faults: "tuple[Fault, ...]", fits: str | None) -> None:
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
    sizes = ", ".join(f"{each.name} {'x'.join(map(str, each.shape))}" for each in graph.inputs)
    fitting = f"; fits {fits}" if fits else ""
    count = len(graph.nodes) - len(graph.inputs)
    print(f"{name}: no fault; {count} operators, input {sizes}{fitting}")
