"""``qnn simulate``: a build folder and images in, the network's outputs out."""

import time
from pathlib import Path
from typing import Annotated

import typer

from qnn.cli.checks import new_file
from qnn.cli.cycles import print_layer_cycles
from qnn.cli.output import Json, print_json
from qnn.cli.results import keep_result
from qnn.cli.simulators import check_simulator
from qnn.cli.sources import (
    Build,
    Data,
    DeviceName,
    Images,
    Layout,
    device_of,
    read_design,
    read_test_images,
)
from qnn.cli.tasks import Task, asked_task, design_tasks, outputs_measured, spoken
from qnn.cli.waves import DEFAULT_CYCLES, WavesCycles, WavesFile, check_options, waves_result

REFERENCE = "reference"  # the device of every back end: the meaning of the integers


def simulate(
    build: Build,
    data: Data = "digits",
    images: Images = 2,
    layout: Layout = None,
    device: DeviceName = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", help="Outputs as integers: an .npz.", callback=new_file(".npz")),
    ] = None,
    task: Task = None,
    waves: WavesFile = None,
    waves_cycles: WavesCycles = DEFAULT_CYCLES,
    as_json: Json = False,
) -> None:
    """Run the design in BUILD on test images."""
    from qnn.array_file import write_arrays
    from qnn.runtime.given import image_count
    from sim.simulate import simulate

    # What needs no build or data first: a wrong option must not wait for either.
    asked = asked_task(task)
    design = read_design(build)
    device = device_of(device, (REFERENCE, *design.backend.devices))
    check_options(design, device, waves, waves_cycles)
    # Before data, as folders of images take a while to read.
    check_simulator(design, device, images, waves)
    pixels, labels = read_test_images(data, design.graph, images, layout)
    kinds, labels = design_tasks(design.graph, labels, asked)
    count = image_count(pixels)
    started = time.perf_counter()
    run = simulate(design, pixels, device=device, waves=waves, waves_cycles=waves_cycles)
    seconds = time.perf_counter() - started
    if out is not None:
        names = design.graph.output_names
        write_arrays(out, dict(zip(names, run.outputs, strict=True)))
    found = outputs_measured(design.graph, run.outputs, labels, kinds, pixels)
    result = {
        "device": device,
        "images": count,
        **found,
        "cycles_per_image": None if run.cycles is None else sum(run.cycles) / count,
        "layer_cycles": dict(run.layer_cycles),
        "waves": waves_result(run.waves),
        "simulator_cycles_per_second": run.cycles_per_second,
        "simulator_build_seconds": run.build_seconds,
        "seconds": seconds,
    }
    # One record a device: a later run of the same replaces it.
    keep_result(build, f"simulate_{device}", record(result, data))
    if as_json:
        print_json(result)
        return
    said = spoken(found["measures"])
    answer = f", {said}" if said else ""
    print(f"{device}: {count} images in {seconds:.1f} s{answer}")
    if run.cycles is not None:
        print(f"{result['cycles_per_image']:,.0f} cycles an image")
    if run.layer_cycles:
        print_layer_cycles(run.layer_cycles)
    if run.waves is not None:
        print(run.waves)


def record(result: dict, data: str) -> dict:
    """The run's entry in the report: numbers of the reference are measured, others simulated."""
    how = "measured" if result["device"] == REFERENCE else "simulated"
    kept = {"device": result["device"], "data": data, "given_images": result["images"]}
    if result["accuracy"] is not None:
        kept[f"{how}_accuracy_percent"] = result["accuracy"]
    if result["cycles_per_image"] is not None:
        kept["simulated_cycles_per_image"] = result["cycles_per_image"]
    return kept
