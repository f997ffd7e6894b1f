"""``qnn quantize``: a float model in, a quantized model out."""

from pathlib import Path
from typing import Annotated

import typer

from hw.spec.isa.codes import LEAST_BITS, MOST_BITS
from qnn.cli.automatic import AUTO, Automatic, Seconds, Target, check_automatic
from qnn.cli.checks import new_file, one_of, valid
from qnn.cli.float_options import (
    FloatModel,
    InputShapes,
    Requantize,
    TrainedWeights,
    check_together,
    load_float,
    shapes_in,
)
from qnn.cli.formats import (
    Mean,
    Std,
    activation_choice,
    bits_choice,
    check_known,
    described,
    for_pixels,
    layer_bits,
    pixel_numbers,
    print_fit,
    terms_choice,
)
from qnn.cli.given import TIES, Ties
from qnn.cli.going_on import going_on, kept_beside
from qnn.cli.kept import kept_fields, print_kept
from qnn.cli.output import Json, note, print_json
from qnn.cli.rounding import (
    Method,
    Settings,
    check_settings,
    progress_of_rounding,
    rounding_options,
)
from qnn.cli.sources import CONFIGS, Data, Layout, read_data_for
from qnn.cli.tasks import Task, asked_task, spoken
from qnn.cli.unasked import runs_unasked

USUAL_SAMPLES, AUTO_SAMPLES = 512, 1536  # auto judges by images that it does not fit weights to
BLIND = ("nearest", AUTO)  # roundings that take no images of their own


def quantize(
    model: FloatModel,
    out: Annotated[
        Path,
        typer.Option("-o", help="Quantized model to write.", callback=new_file(".safetensors")),
    ] = Path("model.safetensors"),
    checkpoint: TrainedWeights = None,
    input_shape: InputShapes = None,
    requantize: Requantize = False,
    data: Data = "digits",
    layout: Layout = None,
    task: Task = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"Training images to calibrate on; by default {AUTO_SAMPLES} where anything is "
            f"auto, else {USUAL_SAMPLES}.",
        ),
    ] = None,
    # A text and not a number: it may name layers.
    weight_bits: Annotated[
        str,
        typer.Option(
            help=f"{LEAST_BITS} to {MOST_BITS}; by layer or pattern, the first that matches: "
            "conv1=4,*=3.",
            callback=valid(bits_choice),
        ),
    ] = "3",
    activation_bits: Annotated[
        str,
        typer.Option(
            help="2 to 16; auto for 8, or, where terms or rounding are auto, the fewest more that "
            "leave weights half of the target.",
            callback=valid(activation_choice),
        ),
    ] = AUTO,
    terms: Annotated[
        str,
        typer.Option(
            help="Codes that a weight sums, each a step, 1 to 7; by layer too: fc=2,*=1; auto for "
            "the fewest that reach the target.",
            callback=valid(terms_choice),
        ),
    ] = AUTO,
    terms_budget: Annotated[
        float | None,
        typer.Option(min=1, max=7, help="Mean terms, spent on the layers that need them most."),
    ] = None,
    mean: Mean = None,
    std: Std = None,
    bias_correction: Annotated[
        bool | None,
        typer.Option(
            help="Let biases take back the shift of means that rounding made; by default, where "
            "that helps the other half of the calibration images, drawn at random."
        ),
    ] = None,
    rounding: Method = AUTO,
    target: Target = None,
    seconds: Seconds = None,
    config: Annotated[
        str | None,
        typer.Option(
            help="Configuration whose cycles auto saves; products without it.",
            callback=one_of(CONFIGS),
            show_default=False,
        ),
    ] = None,
    settings: Settings = None,
    rounding_samples: Annotated[
        int | None, typer.Option(min=1, help="Training images that rounding sees; all by default.")
    ] = None,
    augment: Annotated[
        bool, typer.Option(help="Crop and mirror the images that rounding sees.")
    ] = False,
    ties: Ties = TIES[0],
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint that rounding writes; if it exists, rounding continues from it. By "
            "default OUT.resume, until OUT is written.",
            callback=new_file(),
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Quantize MODEL to shifts and integers.

    Weights become signed powers of two, activations integers. Without a word, the result is the
    cheapest found that loses half a point of accuracy, or 2 percent of squared error.
    """
    check_together(model, checkpoint, input_shape, mean, std, requantize)
    # The default cannot be told from a given auto, which asks for the same.
    if terms_budget is not None and terms != AUTO:
        raise typer.BadParameter("--terms-budget replaces --terms; give one of them")
    chooses = terms == AUTO and terms_budget is None
    check_automatic(chooses, rounding, target, seconds, config)
    check_settings(rounding, settings)
    if rounding in BLIND:
        _check_blind(
            resume if not (chooses or rounding == AUTO) else None, rounding_samples, augment
        )
    if rounding == AUTO and bias_correction is not None:
        raise typer.BadParameter("--bias-correction is part of --rounding auto; leave it out")
    if rounding == "nearest" and chooses and bias_correction:
        raise typer.BadParameter(
            "--terms auto chooses without --bias-correction where --rounding is nearest; leave it "
            "out, or give --terms"
        )
    samples = samples or (AUTO_SAMPLES if chooses or rounding == AUTO else USUAL_SAMPLES)
    # Rounding to nearest takes no time that could be lost.
    kept = resume or (None if rounding == "nearest" and not chooses else kept_beside(out))
    # From here on, as loading torch and reading data are work that Ctrl-C may meet, too.
    with going_on(kept, resume is not None):
        from qnn.nn import artifact
        from qnn.nn.augment import augment as crop_and_flip
        from qnn.nn.zoo import NO_CHECKPOINT
        from qnn.ptq.compare import TestSet
        from qnn.ptq.data import beside_labels, drawn
        from qnn.ptq.quantize import quantize
        from qnn.ptq.sensitivity import Budget
        from qnn.runtime.given import image_count, images_of

        asked = asked_task(task)
        bits, codes = bits_choice("--weight-bits", weight_bits), terms_choice("--terms", terms)
        if terms_budget is not None:
            # The fit is a table, which must not mix with JSON.
            codes = Budget(terms_budget, None if as_json else print_fit)
        mean_values, std_values = pixel_numbers(model, mean, std)
        options = rounding_options(rounding, settings)
        search = Automatic(config, rounding, chooses_bits=activation_bits == AUTO)
        network = load_float(model, checkpoint, shapes_in(input_shape), requantize=requantize)
        images = read_data_for(data, network, layout)
        check_known(data, images.x_train, mean_values)
        mean_values, std_values = (for_pixels(v, images.x_train) for v in (mean_values, std_values))
        count = image_count(images.x_train)
        _check_augmented(augment, images.x_train)
        learnt = slice(None) if rounding_samples is None else drawn(count, rounding_samples)
        test = TestSet.of(network, images, samples, (mean_values, std_values), asked)
        with progress_of_rounding(rounding) as report:
            quantized = quantize(
                network,
                beside_labels(images.x_train, images.y_train, drawn(count, samples)),
                weight_bits=bits,
                activation_bits=activation_choice("--activation-bits", activation_bits),
                rounding=rounding,
                terms=codes,
                mean=mean_values,
                std=std_values,
                bias_correction=bias_correction,
                rounding_options=options,
                rounding_data=None if rounding == AUTO else images_of(images.x_train, learnt),
                augment=crop_and_flip if augment else None,
                progress=report,
                checkpoint=kept,
                task=[kind.value for kind in test.kinds],
                target=target,
                seconds=seconds,
                auto=search.options,
                requantize=requantize,
                ties=ties,
            )
            weights = None if checkpoint == NO_CHECKPOINT else checkpoint
            artifact.save(quantized, out, artifact.ModelSource(model, weights))
    most = quantized.plan.layer_terms
    result = {
        "model": str(out),
        "weight_bits": layer_bits(quantized.plan),
        "activation_bits": quantized.plan.activation_bits,
        "terms": most,
        # Of layers whose rows differ.
        "channel_terms": {n: k for n, k in quantized.plan.channel_terms.items() if k != most[n]},
        "mean_terms": quantized.plan.mean_terms,
        **search.found(),
        **test.compared(network, quantized),
        **kept_fields(network, quantized),
    }
    most_terms = max(result["terms"].values(), default=1)
    inputs = len(quantized.plan.network_inputs)
    teacher = None if runs_unasked(model) else model
    learning = {"--data": data, "--layout": layout, "--task": task, "--teacher": teacher}
    result["advice"] = search.advice(out, inputs, count, chooses, learning) or advised(
        result, most_terms, rounding, bias_correction, search.target if chooses else None
    )
    if as_json:
        print_json(result)
        return
    print_kept(model, result.get("layers", []))
    print(f"{out}: {described(quantized.plan)}{_said(result)}")
    if result["advice"]:
        note(result["advice"])


def advised(
    result: dict,
    most_terms: int,
    rounding: str,
    bias_correction: bool | None,
    target: float | None,
) -> str | None:
    """After a large drop, how large it is and what to try, in order; else None."""
    from qnn.ptq.advice import advice, fell

    before, after = result["float"], result["quantized"]
    # Of several outputs the first that fell is told.
    if any(isinstance(each, dict) for each in after.values()):
        drops = [fell(before[name], after[name]) for name in after]
    else:
        drops = [fell(before, after)]
    drop = next((text for text in drops if text), None)
    tries = advice(most_terms, rounding, bias_correction, target)
    return f"{drop}; try, in this order: {'; '.join(tries)}" if drop else None


def _said(result) -> str:
    """The numbers of both models in words."""
    count, quantized = result["test_images"], spoken(result["quantized"])
    if not result["task"]:
        return f"; on {count} test images without labels for its outputs it keeps {quantized}"
    words = [spoken(result[name]).removesuffix(" right") for name in ("float", "quantized")]
    verb = "gets" if result["float_accuracy"] is not None else "has"
    return f"; of {count} test images float {verb} {words[0]}, quantized {words[1]}"


def _check_blind(resume, rounding_samples, augment):
    """Raise where an option is given that a rounding without images of its own ignores."""
    given = {"--resume": resume, "--rounding-samples": rounding_samples, "--augment": augment}
    for name in (name for name, value in given.items() if value):
        raise typer.BadParameter(f"{name} is of a rounding that learns; choose --rounding")


def _check_augmented(augment, images):
    """Raise where there is nothing that a crop and a mirror are made of."""
    shapes = [x.shape[1:] for x in (images if isinstance(images, tuple) else (images,))]
    if augment and [len(shape) for shape in shapes] != [3]:
        raise typer.BadParameter(
            f"--augment moves and mirrors images of one input, (channels, height, width), and the "
            f"data are {', '.join(str(tuple(shape)) for shape in shapes)} each; leave it out"
        )
