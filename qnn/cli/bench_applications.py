"""``qnn bench applications``: small networks with a task, trained, quantized and verified."""

from pathlib import Path
from typing import Annotated

import typer

from qnn.cli.checks import new_folder
from qnn.cli.exit_codes import ExitCode
from qnn.cli.output import Json, print_json, print_table, progress
from qnn.cli.simulators import check_compiler
from qnn.nn.names import ROUNDING_NAMES

WAY = "ROUNDING:TERMS"


def bench_applications(
    data: Annotated[
        Path | None, typer.Option(help="Folder with CIFAR-10 and keywords; others draw their own.")
    ] = None,
    work: Annotated[
        Path,
        typer.Option(help="Folder for float weights, which are trained once.", callback=new_folder),
    ] = Path("applications"),
    only: Annotated[list[str] | None, typer.Option(help="An application; may be repeated.")] = None,
    ways: Annotated[
        list[str] | None,
        typer.Option("--way", help=f"How to quantize, as {WAY}; may be repeated."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Verify a sample of the last way on it: functional or rtl."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train segmentation, detection, classification and keyword spotting, and quantize them.

    Scores are of the integers, on all test samples, beside those of the float network.
    """
    # Before torch is loaded, which takes seconds.
    parsed = [_way(text) for text in ways or ("nearest:2", "nearest:3", "nearest:4")]
    if device == "rtl":
        check_compiler()
    from qnn.bench.applications.measure import measure
    from qnn.bench.applications.table import APPLICATIONS

    names = [application.name for application in APPLICATIONS]
    for name in only or ():
        if name not in names:
            raise typer.BadParameter(f"--only must be one of {', '.join(names)}, not '{name}'")
    results = [
        result
        for application in APPLICATIONS
        if not only or application.name in only
        for result in measure(application, data, work, parsed, device, progress)
    ]
    if as_json:
        print_json([result.to_fields() for result in results])
    else:
        _print(results)
    if any(result.mismatches for result in results):
        raise typer.Exit(ExitCode.MISMATCH)


def _way(text: str) -> tuple[str, int]:
    rounding, _, terms = text.partition(":")
    if rounding not in ROUNDING_NAMES or terms not in tuple("1234567"):
        raise typer.BadParameter(f"--way needs {WAY}, as 'gptq:2', not '{text}'")
    return rounding, int(terms)


def _print(results):
    rows = [
        (
            result.application,
            result.measure,
            f"{result.rounding}, {result.terms} terms",
            f"{result.float_score:.2f}",
            f"{result.score:.2f}",
            f"{result.score - result.float_score:+.2f}",
            f"{result.train_seconds:.0f}",
            "" if result.mismatches is None else f"{result.mismatches} of {result.values:,}",
        )
        for result in results
    ]
    head = ("application", "score", "rounding", "float", "integers", "change", "s", "different")
    print_table("applications", head, rows)
