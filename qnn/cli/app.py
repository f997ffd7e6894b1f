"""The ``qnn`` command: one verb for each arrow, and one line for each refusal."""

import os
import sys
from contextlib import nullcontext, suppress
from typing import Annotated

import typer

from qnn.cli.bench import bench
from qnn.cli.check import check
from qnn.cli.checks import one_of
from qnn.cli.compile import compile_
from qnn.cli.demo import demo
from qnn.cli.doctor import doctor
from qnn.cli.endings import Ending, ending_of
from qnn.cli.evaluate import evaluate
from qnn.cli.examples import closing
from qnn.cli.exit_codes import SUMMARY, ExitCode
from qnn.cli.explore import explore
from qnn.cli.export import export
from qnn.cli.output import (
    discard_output,
    flush,
    json_alone,
    open_missing,
    plain_warnings,
    print_error,
    print_json,
    status_lines,
)
from qnn.cli.quantize import quantize
from qnn.cli.report import report
from qnn.cli.run import run
from qnn.cli.serve import serve
from qnn.cli.show import show
from qnn.cli.simulate import simulate
from qnn.cli.synth import synth
from qnn.cli.testbench import write_testbench
from qnn.cli.train import train
from qnn.cli.verify import verify
from qnn.errors import DeviceError

VERBS = (
    *(demo, quantize, evaluate, train, explore, export, check, compile_, simulate, verify),
    *(show, run, serve, synth, report, doctor),
)

SHELLS = ("bash", "zsh", "fish")
COMPLETE = "_QNN_COMPLETE"  # by which a shell asks; typer gives it this name

app = typer.Typer(
    # Completion would add two options to every help page.
    add_completion=False,
    rich_markup_mode=None,  # rich would double the time of --help
    epilog=SUMMARY,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Verbs import what they need when they run: importing torch takes seconds, and help must not.
for verb in VERBS:
    app.command(verb.__name__.strip("_"), epilog=closing(verb.__name__.strip("_")))(verb)
# A function called so would be taken for a test.
app.command("testbench", epilog=closing("testbench"))(write_testbench)
app.add_typer(bench, name="bench", epilog=SUMMARY)


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


@app.command("version", epilog=closing("version"))
def tell_version() -> None:
    """Print the version."""
    print_version(True)


@app.command("help", epilog=closing("help"))
def tell_help(
    command: Annotated[list[str] | None, typer.Argument(help="A command; without it, all.")] = None,
) -> None:
    """Show what a command does and takes, as COMMAND --help does."""
    raise typer.Exit(_invoke([*(command or ()), "--help"]))


@app.command("completion", epilog=closing("completion"))
def completion(
    shell: Annotated[
        str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", callback=one_of(SHELLS))
    ],
) -> None:
    """Print a script that lets SHELL complete commands and options with the tab key."""
    from typer.completion import get_completion_script

    print(get_completion_script(prog_name="qnn", complete_var=COMPLETE, shell=shell))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with an ``ExitCode``.

    No error passes: each is one line on standard error and, with ``--json``, an object on standard
    output.
    """
    # Without arguments a newcomer sees what there is, and no error.
    arguments = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if COMPLETE in os.environ:
        _complete()
    as_json = "--json" in arguments
    open_missing()
    with json_alone() if as_json else nullcontext():
        code = _run(arguments, as_json)
    raise SystemExit(int(code))


def _complete() -> None:
    """Answer a shell that asks, by the script of ``completion``, how a line may go on."""
    from typer.completion import completion_init

    completion_init()
    app(prog_name="qnn")


def _run(arguments: list[str], as_json: bool) -> int:
    try:
        # With --json a program listens, even where it runs on a terminal.
        with plain_warnings(), nullcontext() if as_json else status_lines():
            code = _invoke(arguments)
        flush()
    # Whoever reads the output, as `head` does, may leave before its end: that is no error.
    except BrokenPipeError:
        discard_output()
        return ExitCode.PIPE
    except BaseException as error:  # any: what left here would be a trace
        return _tell(ending_of(error, arguments), arguments, as_json)
    return code


def _invoke(arguments: list[str]) -> int:
    try:
        # Without typer's own main, which tells errors in its own way and drops their text.
        command = typer.main.get_command(app)
        with command.make_context("qnn", list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as left:
        return left.exit_code
    return ExitCode.SUCCESS


def _tell(ending: Ending, arguments: list[str], as_json: bool) -> int:
    print_error(ending.message)
    path = _junit_of(arguments)
    if path is not None:
        from sim.junit import write_error

        # The error that is told already comes first.
        with suppress(DeviceError):
            write_error(ending.kind, ending.message, path)
    try:
        if as_json:
            print_json(ending.fields())
        flush()
    except OSError:
        discard_output()
    return ending.code


def _junit_of(arguments: list[str]) -> str | None:
    """The JUnit report that a CI waits for, also of a command line that cannot be parsed."""
    if arguments[0] != verify.__name__:
        return None
    found, following = None, [*arguments[1:], None]
    # The last one counts, as for the parser.
    for argument, value in zip(arguments, following, strict=True):
        if argument == "--junit":
            found = value
        elif argument.startswith("--junit="):
            found = argument.partition("=")[2]
    return found
