"""``qnn verify``: holds every tensor that a device computes to the reference."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.cli.checks import new_file, one_of
from qnn.cli.cycles import print_layer_cycles
from qnn.cli.exit_codes import ExitCode
from qnn.cli.farm_options import RayAddress, Workers
from qnn.cli.output import Json, print_json, progress
from qnn.cli.results import keep_result
from qnn.cli.simulators import HARDWARE, check_simulator, check_thorough
from qnn.cli.sources import (
    Data,
    DeviceName,
    Images,
    Layout,
    device_of,
    read_design,
    read_test_images,
)
from qnn.cli.verified import contradiction, record
from qnn.cli.verify_farm import verify_on_farm
from qnn.cli.waves import DEFAULT_CYCLES, WavesCycles, WavesFile, check_options, waves_result

if TYPE_CHECKING:
    from sim.verification import Report


Builds = Annotated[
    list[Path],
    typer.Argument(metavar="BUILD...", help="A folder of 'qnn compile'; with --farm several."),
]


def verify(
    builds: Builds,
    data: Data = "digits",
    images: Images = 2,
    layout: Layout = None,
    device: DeviceName = None,
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough",
            help="Also stall the memory, reset within runs, make errors, and run networks "
            "that reach every mode of the configuration.",
        ),
    ] = False,
    stalls: Annotated[
        int | None,
        typer.Option(min=1, help="Seed of a memory that stalls at random; of device rtl."),
    ] = None,
    against: Annotated[
        str,
        typer.Option(
            help="What to compare with: reference, or onnxruntime on the graph as ONNX.",
            callback=one_of(("reference", "onnxruntime")),
        ),
    ] = "reference",
    junit: Annotated[
        Path | None,
        typer.Option(
            help="JUnit report to write, for a CI; also of an error.", callback=new_file()
        ),
    ] = None,
    waves: WavesFile = None,
    waves_cycles: WavesCycles = DEFAULT_CYCLES,
    farm: Annotated[
        bool,
        typer.Option("--farm", help="Share the images, of all BUILDs, among workers."),
    ] = False,
    workers: Workers = None,
    ray: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Compare the design in BUILD with the reference, or with another runtime.

    Every value of every layer is compared, and what the image says of its tensors. Device rtl runs
    the Verilog of the folder. Exit code 0 if all are equal, 1 if any differs. With --farm, workers
    share the images of all BUILDs, and one table tells of all.
    """
    alone = {
        "--thorough": thorough,
        "--stalls": stalls is not None,
        "--against": against != "reference",
        "--waves": waves is not None,
        "--waves-cycles": waves_cycles != DEFAULT_CYCLES,
    }
    shared = {
        "more than one BUILD": len(builds) > 1,
        "--workers": workers is not None,
        "--ray": ray is not None,
    }
    _check_farm(farm, alone, shared)
    if farm:
        _check_once(builds)
        verify_on_farm(builds, data, images, layout, device, workers, ray, junit, as_json)
        return
    from qnn.runtime.given import image_count
    from sim.junit import write_junit
    from sim.verify import verify

    (build,) = builds
    design = read_design(build)
    device = device_of(device, design.backend.devices)
    check_options(design, device, waves, waves_cycles)
    # Before data, as folders of images take a while to read.
    check_simulator(design, device, images, waves)
    if thorough and device == HARDWARE:
        check_thorough(build, design)
    if stalls is not None and device != HARDWARE:
        raise typer.BadParameter(f"--stalls is of device {HARDWARE}, not of {device}")
    pixels, _ = read_test_images(data, design.graph, images, layout)
    count = image_count(pixels)
    started = time.perf_counter()
    options = {"waves": waves, "waves_cycles": waves_cycles}
    options |= {} if stalls is None else {"stalls": stalls}
    if against != "reference":
        from qnn.interchange.expected import expected_by_onnx

        # What the back end makes of the network has layers of its own.
        graphs = (design.backend.lower(design.graph), design.graph)
        options["expected"] = expected_by_onnx(graphs, pixels)
    with progress("verifying") as say:
        report = verify(design, pixels, device=device, thorough=thorough, say=say, **options)
    if thorough and device == HARDWARE and report.passed:
        from qnn.cli.board_trial import board_trial

        report = replace(report, trials=report.trials + board_trial(build, design, pixels))
    # A board's project has copies of what was simulated.
    if device == HARDWARE and report.failure is None:
        report = replace(report, failure=contradiction(build))
    seconds = time.perf_counter() - started
    keep_result(build, f"verify_{device}", record(report, count, data, against))
    # Also when values differ: that is when a CI shows it.
    if junit is not None:
        write_junit(report, junit)
    told = {"against": against, "images": count, "seconds": seconds}
    _print(report, told, as_json)
    if not report.passed:
        raise typer.Exit(ExitCode.MISMATCH)


def _print(report: "Report", told: dict, as_json: bool) -> None:
    if not as_json:
        print(report)
        if report.layer_cycles:
            print_layer_cycles(report.layer_cycles)
        return
    print_json(
        {
            "device": report.device,
            "against": told["against"],
            "passed": report.passed,
            "images": told["images"],
            "values_compared": report.values_compared,
            "mismatches": report.mismatches,
            "first": None if report.first is None else asdict(report.first),
            "first_layer": report.first_layer,
            "outputs": outputs(report),
            "failure": report.failure,
            "layer_cycles": dict(report.layer_cycles),
            "waves": waves_result(report.waves),
            "trials": trials(report),
            "seconds": told["seconds"],
        }
    )


def _check_farm(farm: bool, alone: dict[str, bool], shared: dict[str, bool]) -> None:
    """Raise if an option is given that only a run in this process has, or only workers."""
    for option, given in (alone if farm else shared).items():
        if given:
            needs = "is not of --farm; leave out one of both" if farm else "needs --farm; give it"
            raise typer.BadParameter(f"{option} {needs}")


def _check_once(builds: list[Path]) -> None:
    """Raise if a folder is given twice: it has one report, and would count twice."""
    folders = [build.resolve() for build in builds]
    for number, build in enumerate(builds):
        if folders[number] in folders[:number]:
            raise typer.BadParameter(f"each BUILD is given once, but {build} twice; leave one out")


def outputs(report: "Report") -> list[dict]:
    """How each output's tensor went, with its keys in what the user's model gives."""
    found: dict[str, dict] = {}
    for layer in report.outputs:
        entry = {"tensor": layer.name, "results": layer.results, "values": 0, "mismatches": 0}
        entry = found.setdefault(layer.name, entry)
        entry["values"] += layer.values
        entry["mismatches"] += layer.mismatches
    return list(found.values())


def trials(report: "Report") -> list[dict]:
    """The further runs of a thorough verification, each with how it went."""
    # Sums stand in the whole result: a reader of one trial wants its own.
    return [
        {
            "name": name,
            "passed": trial.passed,
            "values_compared": trial.values_compared,
            "mismatches": trial.mismatches,
            "failure": trial.failure,
        }
        for name, trial in report.trials
    ]
