"""``qnn verify --farm``: many images, of one build or of many, side by side in workers."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from qnn.cli.exit_codes import ExitCode
from qnn.cli.output import print_json, print_table, progress
from qnn.cli.results import keep_result
from qnn.cli.simulators import HARDWARE, check_simulator
from qnn.cli.sources import device_of, read_design, read_test_images
from qnn.cli.verified import contradiction, record
from qnn.errors import QnnError

if TYPE_CHECKING:
    from qnn.design import Design
    from sim.verification import Report


def verify_on_farm(
    builds: Sequence[Path],
    data: str,
    images: int,
    layout: str | None,
    device: str | None,
    workers: int | None,
    ray: str | None,
    junit: Path | None,
    as_json: bool,
) -> None:
    """Verify all builds and tell all that differs; the parameters are those of the command.

    Raises
    ------
    Exit
        A value differs, or a part of the images could not be compared.
    """
    from qnn.farm.farm import Farm
    from qnn.runtime.given import image_count
    from sim.junit import write_junit_of_all
    from sim.verify_many import verify_many

    designs = [read_design(build) for build in builds]
    device = _device_of_all(device, designs)
    inputs = []
    for build, design in zip(builds, designs, strict=True):
        # Which of several does not take the data, no other part of the text says.
        with naming(build) if len(builds) > 1 else nullcontext():
            check_simulator(design, device, images)
            inputs.append(read_test_images(data, design.graph, images, layout)[0])
    counts = [image_count(x) for x in inputs]
    started = time.perf_counter()
    with Farm(workers, ray) as farm, progress("verifying") as say:
        found = verify_many(designs, inputs, device, farm, say)
        workers = farm.workers
    seconds = time.perf_counter() - started
    reports = {}
    for build, report, count in zip(builds, found, counts, strict=True):
        # A board's project has copies of what was simulated.
        if device == HARDWARE and report.failure is None:
            report = replace(report, failure=contradiction(build))
        keep_result(build, f"verify_{device}", record(report, count, data))
        reports[str(build)] = report
    if junit is not None:
        write_junit_of_all(reports, junit)
    facts = {
        "device": device,
        "passed": all(report.passed for report in reports.values()),
        "workers": workers,
        "images": sum(counts),
        "seconds": seconds,
        "seconds_per_image": seconds / sum(counts),
    }
    _print_all(reports, facts, as_json)
    if not facts["passed"]:
        raise typer.Exit(ExitCode.MISMATCH)


@contextmanager
def naming(build: Path) -> Iterator[None]:
    """Let what is refused meanwhile begin with the build that it is about."""
    try:
        yield
    except QnnError as error:
        raise type(error)(f"{build}: {error}") from error


def _device_of_all(name: str | None, designs: "Sequence[Design]") -> str:
    devices = {device_of(name, design.backend.devices) for design in designs}
    if len(devices) > 1:
        raise typer.BadParameter(
            f"--device must be named for builds of back ends whose closest ones to hardware are "
            f"{' and '.join(sorted(devices))}"
        )
    return devices.pop()


def _print_all(reports: "dict[str, Report]", facts: dict, as_json: bool) -> None:
    """Print one table of all builds, or one JSON object."""
    if as_json:
        totals = {
            "values_compared": sum(report.values_compared for report in reports.values()),
            "mismatches": sum(report.mismatches for report in reports.values()),
        }
        builds = [{"build": build, **_fields(report)} for build, report in reports.items()]
        print_json({**facts, **totals, "builds": builds})
        return
    rows = [_row(build, report) for build, report in reports.items()]
    head = ("build", "", "images", "values", "different", "cycles per image", "what is wrong")
    # A device without a clock has no cycles, and builds that are right have nothing wrong; what is
    # without a title is the verdict.
    kept = [n for n, column in enumerate(zip(*rows, strict=True)) if any(column)]
    table = [[row[n] for n in kept] for row in (head, *rows)]
    print_table(f"verify: {facts['device']}", table[0], table[1:])
    failed = sum(not report.passed for report in reports.values())
    verdict = f"FAIL {failed}/{len(reports)} builds" if failed else "PASS"
    plural = "s" * (facts["workers"] > 1)
    print(
        f"verify: {verdict}; {facts['images']:,} images in {facts['seconds']:.1f} s by "
        f"{facts['workers']} worker{plural}, {facts['seconds_per_image']:.2f} s per image"
    )


def _row(build, report) -> tuple[str, ...]:
    cycles = _cycles_of_image(report)
    return (
        build,
        "PASS" if report.passed else "FAIL",
        f"{len(_by_image(report)):,}",
        f"{report.values_compared:,}",
        f"{report.mismatches:,}",
        "" if cycles is None else f"{cycles:,.0f}",
        "; ".join(line.strip() for line in report.findings),
    )


def _cycles_of_image(report) -> float | None:
    """Cycles of all runs over the images that they had; None where the device has no clock."""
    images = len(_by_image(report))
    return sum(report.run_cycles) / images if report.run_cycles and images else None


def _by_image(report) -> list[dict]:
    """What was compared of each image, and how much of it differs."""
    values, wrong = Counter(), Counter()
    for layer in report.layers:
        # What an artifact claims is of no image, and counts no value.
        values[layer.image] += layer.values
        wrong[layer.image] += layer.mismatches
    return [
        {"image": image, "values_compared": count, "mismatches": wrong[image]}
        for image, count in sorted(values.items())
        if count
    ]


def _fields(report: "Report") -> dict:
    return {
        "passed": report.passed,
        "values_compared": report.values_compared,
        "mismatches": report.mismatches,
        "first": None if report.first is None else asdict(report.first),
        "first_layer": report.first_layer,
        "failure": report.failure,
        "layer_cycles": dict(report.layer_cycles),
        "run_cycles": list(report.run_cycles),
        "images": _by_image(report),
    }
