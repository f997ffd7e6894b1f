"""``qnn demo``: the whole chain on scikit-learn's digits, from training to verified Verilog."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from hw.spec.config import named_config
from qnn.cli.checks import new_folder
from qnn.cli.exit_codes import ExitCode
from qnn.cli.output import Json, Progress, print_json, print_table, progress
from qnn.cli.simulators import check_configuration
from qnn.errors import DeviceError

# The smallest configuration: its Verilog compiles in seconds.
CONFIG = "test"
# The width of the reference configuration.
WEIGHT_BITS = 3
# About a third of the training images; ranges change little with more.
CALIBRATION_IMAGES = 512


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """The numbers that the demo measured. Accuracies are in percent of the whole test set."""

    float_accuracy: float
    quantized_accuracy: float
    images_simulated: int
    values_compared: int
    mismatches: int
    cycles_per_image: float
    array_utilisation: float
    array_lut: int
    array_dsp: int
    seconds: float


@dataclass(frozen=True)
class StepClock:
    """Says which step runs, and keeps the seconds of each."""

    steps: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[Progress]:
        """Time a step; gives a function of (done, in all)."""
        started = time.perf_counter()
        with progress(name) as report:
            yield report
        self.steps[name] = time.perf_counter() - started
        print(f"{name}: {self.steps[name]:.1f} s", file=sys.stderr)


def demo(
    images: Annotated[int, typer.Option(min=1, max=360, help="Images to simulate.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            help="Folder for model, graph and build; without it, nothing is kept.",
            callback=new_folder,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the whole chain on scikit-learn's digits.

    Trains a small CNN, quantizes it, trains it on its grid, compiles it, simulates its Verilog and
    compares every value.
    """
    # Its training comes first, and takes longest.
    check_configuration(named_config(CONFIG, weight_bits=WEIGHT_BITS))
    clock = StepClock()
    result = run_demo(images, seed, out, clock)
    if as_json:
        print_json(asdict(result))
    else:
        print_table("qnn demo", ("measured", "value"), rows(result, clock))
    # After the table: it says where to look.
    if result.mismatches:
        raise typer.Exit(ExitCode.MISMATCH)


def run_demo(images: int, seed: int, out: Path | None, clock: StepClock) -> DemoResult:
    """Run every step. Yosys works beside the others, since it needs the configuration only."""
    from qnn.eda.synthesis import array_resources
    from qnn.farm.threads import threads_of_torch

    started = time.perf_counter()
    # Yosys is another process: a thread that waits for it takes no time from Python. Of torch's
    # own, two that share a core with Yosys wait for each other.
    with threads_of_torch(1), ThreadPoolExecutor(1) as background:
        cells = background.submit(array_resources, named_config(CONFIG, weight_bits=WEIGHT_BITS))
        measured = _model_to_rtl(images, seed, out, clock)
        with clock.step("synthesize (the rest of it)"):
            resources = cells.result()
    return DemoResult(
        **measured,
        array_lut=resources.lut + resources.lut_shift_registers,
        array_dsp=resources.dsp,
        seconds=time.perf_counter() - started,
    )


def _model_to_rtl(images, seed, out, clock):
    """From training to the comparison: all of the result but what Yosys counts."""
    from qnn.design import compile
    from qnn.nn.data import digits
    from qnn.nn.digits import train_on_grid, trained_digits_cnn
    from qnn.nn.preprocess import to_reals
    from qnn.nn.training import accuracy
    from qnn.nn.zoo import ZOO
    from qnn.ptq.export import export
    from qnn.ptq.quantize import quantize
    from sim.verify import verify

    entry, data = ZOO["digits_cnn"], digits()
    with clock.step("train") as report:
        model = trained_digits_cnn(data, seed, report)
        reals = to_reals(data.x_test, entry.mean, entry.std)
        float_accuracy = 100 * accuracy(model, reals, data.y_test)
    with clock.step("quantize"):
        calibration = data.x_train[:CALIBRATION_IMAGES]
        quantized = quantize(
            model,
            calibration,
            WEIGHT_BITS,
            rounding="nearest",
            terms=1,
            mean=entry.mean,
            std=entry.std,
        )
    with clock.step("train on the grid") as report:
        train_on_grid(quantized, model, data, seed, report)
        graph = export(quantized)
    with clock.step("evaluate"):
        quantized_accuracy = integer_accuracy(graph, data.x_test.numpy(), data.y_test.numpy())
    with clock.step("compile"):
        design = compile(graph, CONFIG)
    if out is not None:
        with clock.step("write"):
            _write(out, model, quantized, design)
    with clock.step("simulate and verify"):
        # On the Verilog, as the accuracy above is the integers' and needs no simulation.
        checked = verify(design, data.x_test[:images].numpy(), device="rtl")
    if checked.failure:
        raise DeviceError(f"demo: the RTL simulation failed: {checked.failure}")
    cycles = sum(checked.run_cycles) / images
    return {
        "float_accuracy": float_accuracy,
        "quantized_accuracy": quantized_accuracy,
        "images_simulated": images,
        "values_compared": checked.values_compared,
        "mismatches": checked.mismatches,
        "cycles_per_image": cycles,
        "array_utilisation": utilisation(design.artifact, cycles),
    }


def _write(folder, model, quantized, design):
    """What the other commands start from."""
    import torch

    from qnn.files import whole_file
    from qnn.ir import serialize
    from qnn.nn import artifact

    # As every later command is given a path in it.
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "digits_cnn.pt"
    # In the format that `--checkpoint` takes, so that every further step can be tried by hand.
    with whole_file(weights) as file:
        torch.save(model.state_dict(), file)
    source = artifact.ModelSource("digits_cnn", str(weights))
    artifact.save(quantized, folder / "model.safetensors", source)
    serialize.save(design.graph, folder / "model.qgraph")
    design.write(folder / "build")


def integer_accuracy(graph, pixels, labels) -> float:
    """Percent of ``pixels`` that the integer reference classifies as ``labels`` say."""
    from qnn.ir.encode import as_results, encode_input
    from qnn.ir.reference import reference
    from qnn.tasks.measures import measured

    # Inner tensors are dropped on the way: 360 images of all of them would be kept for nothing.
    tensors = reference(graph, encode_input(graph, pixels), outputs_only=True)
    _, found = measured(as_results(graph.outputs[0], tensors[graph.outputs[0].name]), labels)
    return found["accuracy"]


def utilisation(image, cycles: float) -> float:
    """The model's multiply-accumulates, over what the array could do in ``cycles`` an image."""
    config = image.config
    macs = sum(layer.macs for layer in image.layers) / image.batch
    return macs / (cycles * config.lanes * config.rows * config.columns)


def rows(result: DemoResult, clock: StepClock) -> Iterator[tuple[str, str]]:
    """The rows of the table that ``qnn demo`` prints: what, and its value."""
    yield "float accuracy", f"{result.float_accuracy:.2f} %"
    yield f"quantized accuracy, {WEIGHT_BITS}-bit weights", f"{result.quantized_accuracy:.2f} %"
    yield "images simulated in RTL", f"{result.images_simulated}"
    yield "values compared", f"{result.values_compared:,}"
    yield "mismatches", f"{result.mismatches}"
    yield "cycles per image", f"{result.cycles_per_image:,.0f}"
    yield "array utilisation", f"{result.array_utilisation:.1%}"
    yield "array LUT", f"{result.array_lut:,}"
    yield "array DSP", f"{result.array_dsp}"
    for name, seconds in clock.steps.items():
        yield f"seconds: {name}", f"{seconds:.1f}"
    yield "seconds in all", f"{result.seconds:.1f}"
