"""What is asked of a network that brings quantizers of its own."""

from typing import Annotated

import typer

from qnn.cli.checks import one_of
from qnn.quant.ties import TIES

Ties = Annotated[
    str,
    typer.Option(
        help=f"How halves are rounded that a network of Brevitas or a QONNX file rounds otherwise: "
        f"{' or '.join(TIES)}. Even computes layers twice, or refuses the file, where it must.",
        callback=one_of(TIES),
    ),
]
FLOAT_TIES = "--ties is of an .onnx file of QONNX, which rounds otherwise"


def check_file_ties(name: str, ties: str) -> None:
    """Raise where ``--ties`` asks for other halves of anything but a file of ONNX."""
    # An option that is silently ignored would promise other integers.
    if ties != TIES[0] and not name.endswith(".onnx"):
        raise typer.BadParameter(FLOAT_TIES)
