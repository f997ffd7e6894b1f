"""The ``qnn`` command: one verb for each arrow, and one line for each refusal."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from qnn.cli.bench import bench
from qnn.cli.check import check
from qnn.cli.compile import compile_
from qnn.cli.demo import demo
from qnn.cli.doctor import doctor
from qnn.cli.export import export
from qnn.cli.quantize import quantize
from qnn.cli.report import report
from qnn.cli.run import run
from qnn.cli.show import show
from qnn.cli.simulate import simulate
from qnn.cli.synth import synth
from qnn.cli.testbench import write_testbench
from qnn.cli.train import train
from qnn.cli.verify import verify
from qnn.errors import QnnError, QnnWarning

VERBS = (
    *(demo, quantize, train, export, check, compile_, simulate, verify),
    *(show, run, synth, report, doctor),
)

app = typer.Typer(
    # Without arguments a newcomer sees what there is, and no error.
    no_args_is_help=True,
    # Completion would add two options to every help page.
    add_completion=False,
    # A refusal is one line, which main prints; what is not one is a fault, whose plain trace we
    # want.
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would double the time of --help
)
# Verbs import what they need when they run: importing torch takes seconds, and help must not.
for verb in VERBS:
    app.command(verb.__name__.strip("_"))(verb)
# A function called so would be taken for a test.
app.command("testbench")(write_testbench)
app.add_typer(bench, name="bench")


def print_version(wanted: bool) -> None:
    """Print the version of this package and leave, if ``wanted``."""
    if wanted:
        from importlib import metadata

        print("qnn", metadata.version("qnn"))
        raise typer.Exit


@app.callback()
def qnn(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, help="Print the version.")
    ] = False,
) -> None:
    """PyTorch models to multiplier-free FPGA accelerators, equal bit for bit."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave: 0 done, 1 mismatch or refusal, 2 wrong usage."""
    try:
        with plain_warnings():
            app(arguments, prog_name="qnn")
    except _refusals() as error:
        refuse(str(error))
    # A file that is missing or closed is the user's affair as much as a refusal.
    except OSError as error:
        refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Print what a user should know in one line on standard error, as refusals are."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message, category, *where) -> None:
            if issubclass(category, QnnWarning):
                print("warning:", " ".join(str(message).split()), file=sys.stderr)
            else:
                others(message, category, *where)

        warnings.showwarning = show
        # Each time, and not once for each place of the code: texts name layers.
        warnings.simplefilter("always", QnnWarning)
        yield


def _refusals() -> tuple[type[Exception], ...]:
    """The errors whose text says in one line what is wrong with what the user gave."""
    # Only what has read an image can raise its error: --help need not wait for the import.
    image = sys.modules.get("hw.spec.image")
    return (QnnError,) if image is None else (QnnError, image.ImageError)


def refuse(text: str) -> None:
    """Print ``text`` in one line on standard error, and leave with exit code 1."""
    # In one line, whatever line breaks the text has, so that scripts can take it.
    print("error:", " ".join(text.split()), file=sys.stderr)
    raise SystemExit(1)
