"""The command lines that build a design again."""

import shlex
from collections import Counter
from collections.abc import Sequence

from qnn.explore.accuracy import TARGET
from qnn.explore.choices import USUAL
from qnn.explore.point import Point

MODEL = "model.safetensors"


def command(asked: Sequence[str], point: Point, board: str | None, store: str, name: str) -> str:
    """The commands that quantize and compile a point as its full fidelity does.

    Parameters
    ----------
    asked : the model and the options of it and its data, as they were given to the search
    store, name : of the design, which is taken from there where terms differ within a layer
    """
    if not all(isinstance(terms, int) for terms in point.terms.values()):
        return shlex.join(["qnn", "explore", "--store", store, "--pick", name, "-o", "build"])
    quantize = ["qnn", "quantize", *asked, "--weight-bits", str(point.weight_bits)]
    quantize += ["--activation-bits", str(point.activation_bits), "--terms", terms_text(point)]
    # Any design reaches such a target, so that none learns and each comes out the same.
    quantize += ["--target", f"{TARGET:g}", "-o", MODEL]
    compile_ = ["qnn", "compile", MODEL, "--config", "reference"]
    for size, value in point.array.items():
        compile_ += ["--set", f"{size}={value}"]
    if board is not None:
        compile_ += ["--board", board, "--cores", str(point.cores)]
    return f"{shlex.join(quantize)} && {shlex.join([*compile_, '-o', 'build'])}"


def terms_text(point: Point) -> str:
    """Terms as ``--terms`` takes them: of the layers that differ, and of all others."""
    counts = Counter(point.terms.values())
    # Of two as frequent the larger, in one order everywhere.
    usual = max(counts, key=lambda terms: (counts[terms], terms))
    others = [f"{name}={terms}" for name, terms in point.terms.items() if terms != usual]
    return ",".join([*others, f"*={usual}"]) if others else str(usual)


def sizes_text(point: Point) -> str:
    """The hardware in short: cores, lanes x rows x columns, and what is not as usual."""
    array = dict(point.array)
    size = "x".join(str(array.pop(name)) for name in ("lanes", "rows", "columns") if name in array)
    # What a space leaves no choice in tells designs apart by nothing.
    rest = [f"{name}={value}" for name, value in array.items() if len(USUAL[name]) > 1]
    cores = f"{point.cores} x " if point.cores > 1 else ""
    return ", ".join([f"{cores}{size}", *rest])
