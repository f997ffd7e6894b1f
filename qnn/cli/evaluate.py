"""``qnn evaluate``: a whole test set through a float model and its quantized forms."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hw.spec.isa.codes import LEAST_BITS, MOST_BITS
from qnn.cli.checks import new_file, valid
from qnn.cli.float_options import (
    FloatModel,
    InputShapes,
    TrainedWeights,
    check_together,
    load_float,
    shapes_in,
)
from qnn.cli.formats import MOST_TERMS, check_known, for_pixels, numbers, pixel_numbers
from qnn.cli.output import Json, note, print_json, print_table
from qnn.cli.rounding import Method, Settings, rounding_options
from qnn.cli.sources import Data, Layout, read_data_for
from qnn.cli.tasks import Task, asked_task, spoken
from qnn.files import write_whole

if TYPE_CHECKING:
    from qnn.ptq.evaluate import Evaluation, Format


def formats_choice(option: str, text: str) -> list[tuple[int, int]]:
    """Bits and terms of the formats that a text such as ``3x1,4x2`` names."""
    chosen = []
    for part in text.split(","):
        bits, _, terms = part.strip().partition("x")
        whole = bits.isdecimal() and terms.isdecimal()
        # The same limits as --weight-bits and --terms have, each for itself.
        is_known = whole and LEAST_BITS <= int(bits) <= MOST_BITS and 1 <= int(terms) <= MOST_TERMS
        if not is_known:
            raise typer.BadParameter(
                f"{option} needs BITSxTERMS with commas, {LEAST_BITS} to {MOST_BITS} bits and 1 to "
                f"{MOST_TERMS} terms, such as 3x1,3x2, not '{text}'"
            )
        chosen.append((int(bits), int(terms)))
    return chosen


def evaluate(
    model: FloatModel,
    checkpoint: TrainedWeights = None,
    input_shape: InputShapes = None,
    data: Data = "digits",
    layout: Layout = None,
    task: Task = None,
    formats: Annotated[
        str,
        typer.Option(
            help="BITSxTERMS with commas; layers are measured in the first.",
            callback=valid(formats_choice),
        ),
    ] = "3x1,3x2,3x3",
    samples: Annotated[int, typer.Option(min=1, help="Training images to calibrate on.")] = 512,
    images: Annotated[
        int | None, typer.Option(min=1, help="Test images to take; all by default.")
    ] = None,
    activation_bits: Annotated[int, typer.Option(min=2, max=16)] = 8,
    mean: Annotated[
        str | None, typer.Option(help="As in 'qnn quantize'.", callback=valid(numbers))
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="As in 'qnn quantize'.", callback=valid(numbers))
    ] = None,
    rounding: Method = "nearest",
    settings: Settings = None,
    plot: Annotated[
        Path | None, typer.Option(help="Picture to write, .svg.", callback=new_file(".svg"))
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure MODEL on a whole test set: float, in each format, and layer by layer.

    A layer's row is the network with only that layer's weights rounded and no bias corrected, so
    that it says what the layer's rounding alone costs.
    """
    # What options say together, before torch is loaded.
    check_together(model, checkpoint, input_shape, mean, std)
    from qnn.ptq.compare import TestSet
    from qnn.ptq.data import drawn
    from qnn.ptq.evaluate import Format, evaluate
    from qnn.runtime.given import image_count, images_of

    chosen = [Format(*each) for each in formats_choice("--formats", formats)]
    asked, options = asked_task(task), rounding_options(rounding, settings)
    network = load_float(model, checkpoint, shapes_in(input_shape))
    found = read_data_for(data, network, layout)
    given = pixel_numbers(model, mean, std)
    check_known(data, found.x_train, given[0])
    pixels = tuple(for_pixels(values, found.x_train) for values in given)
    test = TestSet.of(network, found, images, pixels, asked)
    result = evaluate(
        network,
        images_of(found.x_train, drawn(image_count(found.x_train), samples)),
        test,
        chosen,
        activation_bits=activation_bits,
        rounding=rounding,
        rounding_options=options,
        mean=pixels[0],
        std=pixels[1],
    )
    said = fields(result, test, chosen, rounding)
    if plot is not None:
        from qnn.cli.evaluate_plot import picture

        write_whole(plot, picture(said))
    if as_json:
        print_json(said | {"plot": plot and str(plot)})
        return
    _print(said)
    if said["advice"]:
        note(said["advice"])


def fields(result: "Evaluation", test, formats: "list[Format]", rounding: str) -> dict:
    """All that was measured, for JSON."""
    from qnn.ptq.advice import advice, fell
    from qnn.tasks.outputs import by_name

    def row(scored):
        return {
            "name": scored.name,
            "measures": by_name(result.outputs, scored.numbers),
            "snr_db": by_name(result.outputs, scored.decibels),
        }

    # Of the first format, whose layers are told too: what is tried changes that one.
    first = result.formats[0]
    drops = [
        fell(before, after or {"snr_db": decibels})
        for before, after, decibels in zip(
            result.float_numbers, first.numbers, first.decibels, strict=True
        )
    ]
    drop = next((text for text in drops if text), None)
    tries = advice(formats[0].terms, rounding, None) if drop else []
    return {
        "task": by_name(result.outputs, [kind.value for kind in test.kinds]),
        "test_images": result.samples,
        "float": by_name(result.outputs, result.float_numbers),
        "formats": [row(each) for each in result.formats],
        "activations": row(result.unrounded),
        "layers": [row(each) for each in result.layers],
        "advice": f"{drop} with {first.name}; try, in this order: {'; '.join(tries)}"
        if drop
        else None,
    }


def _print(said):
    shown = [["float", spoken(said["float"]), ""]]
    shown += [_cells(row) for row in said["formats"]]
    count = said["test_images"]
    print_table(f"{count} test images", ["weights", "measured", "signal to noise"], shown)
    rows = [_cells(said["activations"]), *(_cells(row) for row in said["layers"])]
    title = f"layers of {said['formats'][0]['name']}, each rounded alone"
    print_table(title, ["rounded", "measured", "signal to noise"], rows)


def _cells(row):
    # One number, or one for each of several outputs.
    decibels = row["snr_db"] if isinstance(row["snr_db"], dict) else {"": row["snr_db"]}
    noise = ", ".join(
        f"{name} {'exact' if value is None else f'{value:.1f} dB'}".strip()
        for name, value in decibels.items()
    )
    return [row["name"], spoken(row["measures"]), noise]
