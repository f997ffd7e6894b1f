"""Options of ``qnn quantize`` for methods of rounding, and how far such a method is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from qnn.cli.checks import one_of
from qnn.nn.names import ROUNDING_NAMES

Method = Annotated[
    str,
    typer.Option(
        help="How weights are rounded: auto, nearest, discquant, adaround, gptq or latent.",
        callback=one_of(("auto", *ROUNDING_NAMES)),
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="NAME=VALUE is an option of the rounding; may be repeated."),
]


def check_settings(method: str, settings: list[str] | None) -> None:
    """Raise where settings are given to what has none, which needs no torch to be known."""
    if method == "auto" and settings:
        raise typer.BadParameter("--set is of a rounding with options, not of auto")


def rounding_options(method: str, settings: list[str] | None) -> dict[str, object] | None:
    """Options of a rounding method from texts NAME=VALUE, each of the kind of its default."""
    from dataclasses import asdict

    if method == "auto":
        return None
    from qnn.quant.rounding import rounding

    try:
        chosen = rounding(method)
        defaults = asdict(chosen.choose())
        pairs = [setting.partition("=") for setting in settings or ()]
        # Kinds come from the defaults: options are a dataclass, whose annotations are texts.
        given = {name: _like(name, defaults.get(name), text) for name, _, text in pairs}
        chosen.choose(given)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return given


def _like(name, default, text):
    """``text`` as a value of the kind of ``default``."""
    # By exact type, as a bool is an int too.
    kinds = {bool: _truth, int: int, float: float, tuple: _numbers}
    try:
        return kinds.get(type(default), str)(text)
    except ValueError:
        raise ValueError(
            f"--set {name} needs a value like {_shown(default)}, not '{text}'"
        ) from None


def _truth(text):
    # bool("false") is True: only the two words that are shown mean something.
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


def _numbers(text):
    return tuple(float(part) for part in text.split(","))


def _shown(default):
    # As --set takes it, not as Python prints it.
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default).lower()


@contextmanager
def progress_of_rounding(method: str) -> Iterator[Callable[[int, int, float], None]]:
    """Give a function of (done, in all, share rounded) that moves a bar, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total, _share: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(method, total=None)

        def report(done, total, share):
            # Of latent weights every forward pass sees rounded ones: steps alone say how far it is.
            rounded = (
                "" if share == 1 and done < total else f": {100 * share:.1f} % of weights rounded"
            )
            text = f"{method}{rounded}"
            bars.update(task, completed=done, total=total, description=text)

        yield report
