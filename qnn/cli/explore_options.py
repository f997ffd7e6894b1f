"""Options of ``qnn explore``, read before any work begins."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

import boards
from qnn.cli.checks import new_build, one_of, valid
from qnn.errors import ArgumentError
from qnn.explore.choices import NAMES, choices_in
from qnn.explore.goals import METRICS, constraints_in, objectives_in
from qnn.explore.point import ClockInterval

if TYPE_CHECKING:
    from boards.board import Board as AnyBoard

# As the registry has them, which needs torch; a test holds the two to each other.
METHODS = ("bayes", "random", "nsga2", "greedy")
NO_BOARD = "none"
FAMILY = "zynqmp"  # of boards whose cells are estimated
REFERENCE_BOARD = boards.reference(FAMILY).name  # that designs are for without a word
UNITS = {"s": 1, "m": 60, "h": 3600}
Result = TypeVar("Result")


def usage(option: str, read: Callable[[], Result]) -> Result:
    """What ``read`` gives; what it refuses is wrong usage of an option."""
    try:
        return read()
    except ArgumentError as error:
        raise typer.BadParameter(f"{option}: {error}") from None


def seconds_in(option: str, text: str | None) -> float | None:
    """The seconds of a text such as 2h, 30m or 90."""
    if text is None:
        return None
    # Six digits are eleven days, in seconds.
    match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([smh]?)", text)
    if match is None or not float(match[1]):
        raise typer.BadParameter(f"{option} needs a time such as 90s, 30m or 2h, not '{text}'")
    return float(match[1]) * UNITS[match[2] or "s"]


def clock_in(option: str, text: str | None) -> ClockInterval | None:
    """The interval of a text such as 361,393,427, or one number for all three."""
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise typer.BadParameter(f"{option} needs LOW,EXPECTED,HIGH in MHz, not '{text}'")
    # One number is a clock that is sure.
    return usage(option, lambda: ClockInterval(*numbers * (3 // len(numbers))))


def picked_build(path: Path | None) -> Path | None:
    """The check that a build can be written to a folder, if one is named."""
    return None if path is None else new_build(path)


Objectives = Annotated[
    str,
    typer.Option(
        help=f"What is to be as good as possible, with commas, of {', '.join(METRICS)}.",
        callback=valid(lambda option, text: usage(option, lambda: objectives_in(text))),
    ),
]
Constraints = Annotated[
    str | None,
    typer.Option(
        help="What every design must keep, as lut<205560,accuracy>90.",
        callback=valid(lambda option, text: usage(option, lambda: constraints_in(text))),
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(help="Time of this run, as 90s, 30m or 2h.", callback=valid(seconds_in)),
]
MethodName = Annotated[
    str, typer.Option(help=f"Search: {', '.join(METHODS)}.", callback=one_of(METHODS))
]
Vary = Annotated[
    list[str] | None,
    typer.Option(
        help=f"NAME=NUMBER,NUMBER is what may be chosen of {', '.join(NAMES)}; may be repeated."
    ),
]
Board = Annotated[
    str,
    typer.Option(
        help="Whose device designs must fit, a Zynq UltraScale+ board; or none.",
        callback=one_of((*boards.names(), NO_BOARD)),
    ),
]
Clock = Annotated[
    str | None,
    typer.Option(
        "--clock-mhz",
        help="Clock of all designs: LOW,EXPECTED,HIGH. Without it the one that is estimated.",
        callback=valid(clock_in),
    ),
]


def vary_in(texts: list[str] | None) -> dict[str, tuple[int, ...]]:
    """The choices of ``--vary``."""
    return usage("--vary", lambda: choices_in(texts or ()))


def board_named(name: str) -> "AnyBoard | None":
    """The board that designs are for; None: none."""
    if name == NO_BOARD:
        return None
    board = boards.named(name)
    # Estimates are of UltraScale+: those of another family would be other LUTs.
    if boards.family(board) != FAMILY:
        raise typer.BadParameter(
            f"--board {name}: cells of its device are not estimated; take none"
        )
    return board
