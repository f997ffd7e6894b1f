"""``qnn run``: a build folder and images in, a board's answers out."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import boards
from qnn.cli.checks import new_file
from qnn.cli.output import Json, print_json
from qnn.cli.results import keep_result
from qnn.cli.simulators import check_served, verilog_of
from qnn.cli.sources import (
    Build,
    Data,
    Images,
    Layout,
    read_array_design,
    read_test_images,
)
from qnn.cli.tasks import Task, asked_task, design_tasks, outputs_measured, spoken

if TYPE_CHECKING:
    import numpy as np

    from boards.board import SerialHost
    from qnn.design import Design
    from qnn.runtime.given import Given
    from qnn.runtime.transport import Transport

# With a colon, as all devices are URIs.
SIMULATED = "rtl:"  # the device that starts here
DEVICE_HELP = (
    "pynq:FILE.bit[?download=no], uio:uio0[,uio1...]?memory=udmabuf0[&mhz=NUMBER], rtl: (the "
    "simulated Verilog), rtl://HOST:PORT, or BOARD:PORT (a board on a serial port)"
)


def run(
    build: Build,
    device: Annotated[str, typer.Option(help=DEVICE_HELP)],
    data: Data = "digits",
    images: Images = 2,
    layout: Layout = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", help="Outputs as integers: an .npz.", callback=new_file(".npz")),
    ] = None,
    task: Task = None,
    as_json: Json = False,
) -> None:
    """Run the design in BUILD on a board, with the driver that its folder 'driver' holds."""
    from qnn.array_file import write_arrays
    from qnn.runtime.given import image_count

    asked = asked_task(task)
    design = read_array_design(build, "run")
    # A board needs no compiler.
    if device == SIMULATED:
        from qnn.runtime.driver import memory_bytes

        check_served(design, memory_bytes(design.artifact))
    pixels, labels = read_test_images(data, design.graph, images, layout)
    kinds, labels = design_tasks(design.graph, labels, asked)
    count = image_count(pixels)
    # The driver's images are as cameras and files have them.
    outputs, seconds = execute(device, design, channels_last(pixels))
    if out is not None:
        names = design.graph.output_names
        write_arrays(out, dict(zip(names, outputs, strict=True)))
    found = outputs_measured(design.graph, outputs, labels, kinds, pixels)
    result = {"device": device, "images": count, **found, "seconds": seconds}
    keep_result(build, f"run_{device.partition(':')[0]}", record(result, data))
    if as_json:
        print_json(result)
        return
    said = spoken(found["measures"])
    answer = f", {said}" if said else ""
    print(f"{device.removesuffix(':')}: {count} images in {seconds:.1f} s{answer}")


def record(result: dict, data: str) -> dict:
    """The run's entry in the report: a board's numbers are measured, those of Verilog simulated."""
    kind = result["device"].partition(":")[0]
    how = "simulated" if kind == SIMULATED.removesuffix(":") else "measured"
    # Without the port or host, which are one machine's.
    kept = {"device": kind, "data": data, "given_images": result["images"]}
    if result["accuracy"] is not None:
        kept[f"{how}_accuracy_percent"] = result["accuracy"]
    return kept | {"measured_wall_seconds": result["seconds"]}


def channels_last(images: "Given") -> "Given":
    """Images as the driver takes them, channels last; what is no image stays as it is."""
    if isinstance(images, tuple):
        return tuple(map(channels_last, images))
    return images.transpose(0, 2, 3, 1) if images.ndim == 4 else images


def execute(
    device: str, design: "Design", images: "Given"
) -> tuple[tuple["np.ndarray", ...], float]:
    """The device's outputs for ``images`` (channels last), and the seconds that it took."""
    kind, colon, port = device.partition(":")
    # Before URIs: a board's name is no scheme that the driver knows.
    if colon and kind in serial_boards():
        started = time.perf_counter()
        outputs, _ = serial_boards()[kind](design.artifact, port, images)
        return outputs, time.perf_counter() - started
    from qnn.runtime.accelerator import Accelerator

    with opened(device, design) as transport:
        accelerator = Accelerator(design.artifact, transport)
        started = time.perf_counter()
        # Without opening the device, which loads a bitstream or compiles a simulation.
        return accelerator.execute(images), time.perf_counter() - started


def serial_boards() -> "dict[str, SerialHost]":
    """Functions that run images on boards with a serial line, by the board's name."""
    return {board.name: board.serial for board in boards.every() if board.serial}


@contextmanager
def opened(device: str, design: "Design") -> Iterator["Transport"]:
    """Open the device for the block, and close it behind."""
    if device == SIMULATED:
        from qnn.runtime.driver import memory_bytes
        from sim.cosim import rtl_transport

        options = {"memory_bytes": memory_bytes(design.artifact), "verilog": verilog_of(design)}
        with rtl_transport(design.config, **options) as transport:
            yield transport
        return
    from qnn.runtime.devices import open_transport

    try:
        transport = open_transport(device)
    except ValueError as error:
        forms = " or ".join((SIMULATED, *(f"{name}:PORT" for name in serial_boards())))
        raise typer.BadParameter(f"{error}; or give {forms}") from None
    with closing(transport):
        yield transport
