"""The float model that a command takes, and its trained weights."""

from typing import Annotated

import typer

from qnn.cli.checks import float_model, old_file

FloatModel = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="module:factory, or a name of the zoo.", callback=float_model
    ),
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
