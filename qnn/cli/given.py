"""What is asked of a network that brings quantizers of its own."""

from typing import Annotated

import typer

from qnn.cli.checks import one_of

TIES = ("even", "up")  # as qnn.ptq.given has them, which takes torch

Ties = Annotated[
    str,
    typer.Option(
        help=f"How halves of a network of Brevitas are rounded: {' or '.join(TIES)}. Even computes "
        "layers twice where they need it.",
        callback=one_of(TIES),
    ),
]
