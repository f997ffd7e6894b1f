"""``qnn train``: a quantized model in, one that learnt on its grid out; float models likewise."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.cli.checks import (
    NONE,
    float_model,
    new_file,
    new_folder,
    old_file,
    one_of,
    positive,
    processor,
    trainable,
    valid,
)
from qnn.cli.float_options import is_file, load_float, shapes_taken
from qnn.cli.formats import check_pixels, numbers, pixel_numbers
from qnn.cli.going_on import going_on, kept_beside
from qnn.cli.output import Json, note, progress
from qnn.cli.sources import Data, Layout, read_data, refusal_of
from qnn.cli.tasks import Task, asked_task
from qnn.cli.trained import say
from qnn.cli.unasked import runs_unasked
from qnn.errors import ModelError
from qnn.files import write_whole
from qnn.nn.names import ESTIMATOR_NAMES

if TYPE_CHECKING:
    from torch import nn

    from qnn.nn.training import Recipe


def train(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A .safetensors of 'qnn quantize', or a float model's name.",
            callback=trainable,
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", help="Trained model to write.", callback=new_file(".safetensors"))
    ] = Path("trained.safetensors"),
    data: Data = "digits",
    layout: Layout = None,
    task: Task = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the images.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Updates, instead of epochs.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images per update.")] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            help="Highest rate; weights on a grid take grid_rate times it.", callback=positive
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="Estimator of the gradient.", callback=one_of(ESTIMATOR_NAMES)),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE that the estimator takes; may be repeated.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE of the recipe; may be repeated.")
    ] = None,
    crop: Annotated[
        int, typer.Option(min=0, help="Random crops of images that are padded by so many pixels.")
    ] = 0,
    flip: Annotated[bool, typer.Option(help="Random flips, left to right.")] = False,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Float model that teaches; by default the one that was quantized; or 'none'.",
            callback=float_model,
        ),
    ] = None,
    teacher_checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Trained weights of the teacher; 'none' for those that its factory gives.",
            callback=old_file(),
        ),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            help="What may be lost against the teacher on images held out, in points of accuracy "
            "or percent of squared error, as in 'qnn quantize'; the result says whether it is.",
            callback=positive,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Weights that a float model starts from.", callback=old_file()),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(help="Mean for a float model, as in 'qnn quantize'.", callback=valid(numbers)),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(help="Standard deviation, as in 'qnn quantize'.", callback=valid(numbers)),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint of the run; if it exists, the run continues from it. By default "
            "OUT.resume, until OUT is written.",
            callback=new_file(),
        ),
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="File of JSON lines to write.", callback=new_file())
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Folder of event files.", callback=new_folder)
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="cpu or cuda; by default what the machine has.", callback=processor),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    as_json: Json = False,
) -> None:
    """Train MODEL, a quantized one on its grid.

    The recipe's other fields are set by name: --set schedule=constant --set ema=0.999. Under
    torchrun several processes share every batch.
    """
    if model.endswith(".safetensors"):
        given = {"--weights": weights, "--mean": mean, "--std": std}
        for name in (name for name, value in given.items() if value is not None):
            raise typer.BadParameter(f"{name} is of a float model, which '{model}' is not")
    check_pixels(model, mean, std)
    if teacher_checkpoint is not None and teacher == NONE:
        raise typer.BadParameter("--teacher-checkpoint is of a teacher, but --teacher is 'none'")
    kept = checkpoint or kept_beside(out)
    # From here on, as loading torch and reading data are work that Ctrl-C may meet, too.
    with going_on(kept, checkpoint is not None):
        from functools import partial

        from qnn.nn.augment import augment
        from qnn.nn.training import train as run

        asked = asked_task(task)
        # None where not given: the recipe's own defaults then hold, in one place.
        given = {"epochs": epochs, "steps": steps, "batch": batch, "rate": rate, "method": method}
        recipe = _recipe({**given, "seed": seed}, settings or (), option or ())
        network, save = _network(model, weights)
        # All that can be refused is refused before data are read and a first step is made.
        _check_method(network, recipe)
        taught = _teacher(model, teacher, teacher_checkpoint)
        answers = taught and load_float(*taught, shapes_taken(network), "--teacher-checkpoint")
        images = read_data(data, layout, refusal_of(network))
        preprocessing = dict(zip(("mean", "std"), pixel_numbers(model, mean, std), strict=True))
        with progress("train") as bar, _forgotten(kept if checkpoint is None else None):
            report = run(
                network,
                images,
                recipe,
                teacher=answers,
                checkpoint=kept,
                metrics=metrics,
                progress=bar,
                device=device,
                augment=partial(augment, pad=crop, flip=flip) if crop or flip else None,
                tensorboard=tensorboard,
                task=asked,
                **preprocessing,
            )
            # Of several processes one writes; all hold the same weights.
            if report.first:
                save(network, out)
    if report.first:
        say(out, taught and taught[0], report, target, as_json)


@contextmanager
def _forgotten(kept: Path | None):
    """Remove a checkpoint that nobody named when its run diverged, as it would again."""
    from qnn.nn.training.watch import Diverged

    try:
        yield
    except Diverged:
        if kept is not None:
            kept.unlink(missing_ok=True)
        raise


def _network(model, weights):
    """The model to train, and how it is saved."""
    from qnn.nn import artifact
    from qnn.nn.zoo import load_model

    if not model.endswith(".safetensors"):
        return load_model(model, weights, note), _save_weights
    source = artifact.source(model)
    return artifact.load(model), lambda network, path: artifact.save(network, path, source)


def _teacher(model, teacher, checkpoint):
    """Name and weights of the float network that teaches; None where labels alone train."""
    from qnn.nn import artifact
    from qnn.nn.zoo import random_tensor

    if teacher is not None or not model.endswith(".safetensors"):
        return None if teacher in (None, "none") else (teacher, checkpoint)
    source = artifact.source(model)
    if source is None:
        return None
    # Its module may lie in the current folder, as that of a name on the command line may.
    name, checkpoint = float_model(source.architecture), checkpoint or source.checkpoint
    if not runs_unasked(name):
        raise ModelError(
            f"{model}: its float network is '{name}', which is not run because a file says so; "
            f'give --teacher "{name}" if that is meant, or --teacher none'
        )
    if is_file(name):
        return name, None
    # A network without trained weights would answer at random.
    return None if checkpoint is None and random_tensor(name) else (name, checkpoint)


def _save_weights(network: "nn.Module", path: Path) -> None:
    """A flat dictionary of tensors, which ``--checkpoint`` of 'qnn quantize' takes."""
    from safetensors.torch import save

    # Cloned: safetensors refuses tensors that share memory, as tied weights do.
    state = {name: tensor.contiguous().clone() for name, tensor in network.state_dict().items()}
    write_whole(path, save(state))


def _recipe(given: dict, settings: list[str], options: list[str]) -> "Recipe":
    """The recipe with the values that were given, and defaults for all others."""
    from dataclasses import fields

    from qnn.nn.training import Recipe

    values = {name: value for name, value in given.items() if value is not None}
    # After the options of their own, which a setting of the same name overrules.
    values |= _named("--set", settings)
    known = [field.name for field in fields(Recipe) if field.name != "options"]
    for name in values:
        if name not in known:
            raise typer.BadParameter(f"--set needs one of {', '.join(known)}, not '{name}'")
    try:
        return Recipe(**values, options=_named("--option", options))
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None


def _named(option, texts) -> dict:
    """Values by name: numbers, true, false, null and lists as JSON has them, else text."""
    import json

    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{option} needs NAME=VALUE, not '{text}'")
        try:
            # JSON first: `--set ema=null` and `--set learn_exponents=false` are no texts.
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values


def _check_method(network, recipe) -> None:
    """Raise where an estimator or its options do not suit a quantized model."""
    import copy

    from qnn.nn.learn import prepare
    from qnn.nn.model import QuantizedModel

    if not isinstance(network, QuantizedModel):
        return
    try:
        # On a copy, as it changes what it is given.
        prepare(copy.deepcopy(network), recipe.method, recipe.learn_exponents, **recipe.options)
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(f"--method {recipe.method}: {error}") from None
