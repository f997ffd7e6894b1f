"""The float model that a command takes, its trained weights, and the shapes of its inputs."""

from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qnn.cli.checks import (
    ONNX_SUFFIX,
    PROGRAM_SUFFIXES,
    factory,
    float_model,
    kind_of_file,
    old_file,
)
from qnn.cli.formats import check_pixels
from qnn.cli.output import note
from qnn.nn.names import ZOO_NAMES

if TYPE_CHECKING:
    from torch import nn

    from qnn.frontend.onnx.compare import RuntimeDifference

FloatModel = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="module:factory, a name of the zoo, or an .onnx or .pt2 file.",
        callback=float_model,
    ),
]
# Of commands that build the network anew each time, with weights of their own.
FactoryModel = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="module:factory, or a name of the zoo.", callback=factory),
]
# A text and not a path: 'none' is no file.
TrainedWeights = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        help="Trained weights, .pt or .safetensors; 'none' for those that the factory gives.",
        callback=old_file(),
    ),
]
InputShapes = Annotated[
    list[str] | None,
    typer.Option(
        "--input-shape",
        help="Of a float model that does not say it: 3,224,224, without the batch; once for each "
        "input. Of a file's input that is one number, that number: =16000.",
    ),
]
Requantize = Annotated[
    bool,
    typer.Option(
        "--requantize",
        help="Take a QONNX file: what it has on grids of powers of two stays, the rest is "
        "quantized anew. A network of Brevitas is quantized anew, within its ranges.",
    ),
]
NO_QUANTIZERS = (
    "--requantize is of an .onnx file of QONNX or a network of Brevitas, not of a float model"
)
Shapes = list[tuple[int, ...] | float]


def shapes_in(texts: list[str] | None) -> Shapes:
    """The shapes that a user wrote, of one image of each input, or the number that one is."""
    return [_shape(text) for text in texts or ()]


def _shape(text: str) -> tuple[int, ...] | float:
    if text.startswith("="):
        return _number(text)
    parts = text.replace("x", ",").split(",")
    # Numbers of more digits are no sizes, and would take time to read.
    if not all(part.strip().isdecimal() and len(part) < 10 and int(part) for part in parts):
        raise typer.BadParameter(
            f"--input-shape needs sizes with commas and without the batch, as 3,224,224, not "
            f"'{text}'"
        )
    return tuple(int(part) for part in parts)


def _number(text: str) -> float:
    try:
        found = float(text[1:])
    except ValueError:
        found = nan
    if not isfinite(found):
        raise typer.BadParameter(
            f"--input-shape of an input that is one number needs it, as =16000, not '{text}'"
        )
    return int(found) if found.is_integer() else found


def shapes_taken(network: "nn.Module") -> Shapes:
    """What each input of a quantized network takes, without the batch; nothing of a float one."""
    from qnn.ir.shape import user_shape, usual_axes

    # The quantized network has the sizes that a file may leave free.
    plan = getattr(network, "plan", None)
    sources = plan.network_inputs if plan else ()
    return [user_shape(each.shape, each.axes or usual_axes(each.shape)) for each in sources]


def is_onnx(name: str) -> bool:
    """Whether a float model is an ONNX file."""
    return name.endswith(ONNX_SUFFIX)


def is_file(name: str) -> bool:
    """Whether a float model is a file, which has its weights."""
    return name.endswith((ONNX_SUFFIX, *PROGRAM_SUFFIXES))


def check_weights(name: str, checkpoint: Path | str | None) -> None:
    """Raise where weights are given for a file that has its own."""
    # They would be loaded into nothing.
    if is_file(name) and checkpoint is not None:
        raise typer.BadParameter(
            f"--checkpoint is of module:factory; {kind_of_file(name)} file has its weights"
        )


def check_onnx(name: str, checkpoint: str | None, shapes: list[str] | None) -> None:
    """Raise where an option is of another kind of model than the one that is given."""
    check_weights(name, checkpoint)
    shapes_in(shapes)
    if shapes and not is_onnx(name):
        raise typer.BadParameter("--input-shape is of an .onnx file, whose data have its sizes")


def check_together(
    model: str,
    checkpoint: str | None,
    shapes: list[str] | None,
    mean: str | None,
    std: str | None,
    requantize: bool = False,
) -> None:
    """Raise where options that are right alone contradict one another."""
    check_onnx(model, checkpoint, shapes)
    # Of a float network all is quantized, whatever is asked; what a factory gives is seen later.
    if requantize and (model in ZOO_NAMES or model.endswith(PROGRAM_SUFFIXES)):
        raise typer.BadParameter(NO_QUANTIZERS)
    # Quantizing random weights would succeed, and mean nothing.
    if model in ZOO_NAMES and checkpoint is None:
        raise typer.BadParameter(f"'{model}' comes without weights; give them with --checkpoint")
    check_pixels(model, mean, std)


def read_file(
    name: str, shapes: Shapes, requantize: bool = False
) -> "tuple[nn.Module, RuntimeDifference | None]":
    """The network in a file, and of an ``.onnx`` file how far it is from what a runtime computes.

    Parameters
    ----------
    requantize : take a file of QONNX, to be quantized anew

    Raises
    ------
    QnnError
        It cannot be read, or differs by more than the rounding of reals.
    """
    if not is_onnx(name):
        from qnn.frontend.pt2.read import from_pt2

        return from_pt2(name), None
    from qnn.frontend.onnx.compare import check_equal
    from qnn.frontend.onnx.read import from_onnx

    model = from_onnx(name, shapes or None, requantize=requantize)
    # Before anything is computed of it: what was read wrongly would be quantized well.
    return model, check_equal(name, model)


def load_float(
    name: str,
    checkpoint: Path | str | None,
    shapes: Shapes,
    option: str = "--checkpoint",
    requantize: bool = False,
) -> "nn.Module":
    """The float model that a command was given, with its weights, of a factory or a file.

    Parameters
    ----------
    shapes : of one image of each input of a file that leaves sizes free
    option : by which a user gives a checkpoint of a factory's model
    requantize : as ``read_file`` has it
    """
    if not is_file(name):
        from qnn.frontend.brevitas import is_brevitas, plain_results
        from qnn.frontend.unwrap import check_parameters
        from qnn.nn.zoo import load_trained

        model = load_trained(name, checkpoint, note, option)
        # Before its data, which would be told not to fit a model of another type.
        check_parameters(model)
        # Its answers are compared with the quantized network's, which are plain.
        if is_brevitas(model):
            return plain_results(model)
        if requantize:
            raise typer.BadParameter(NO_QUANTIZERS)
        return model
    model, found = read_file(name, shapes, requantize)
    if found is not None:
        note(f"{name}: {found}")
    return model
