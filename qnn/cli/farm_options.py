"""Options of commands whose work goes to workers, on this machine or on many."""

from typing import Annotated

import typer

from qnn.farm.ray_address import AUTO, is_address


def ray_address(address: str | None) -> str | None:
    """The check that an address of a Ray cluster looks like one."""
    if address is not None and not is_address(address):
        raise typer.BadParameter(f"needs '{AUTO}' or HOST:PORT, not '{address}'")
    return address


Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes at the same time, each on one core; those of the cluster with --ray.",
        show_default=False,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Workers of a Ray cluster: auto, if this machine has joined one, or HOST:PORT.",
        callback=ray_address,
    ),
]
