"""Checks of single arguments, made while the command line is parsed: before any work begins.

Each is the ``callback`` of an option or argument. What the command line alone shows to be wrong is
wrong usage; a file or folder that is not as it must be is a refusal. What several options say
together is checked first of all by the command itself.
"""

import importlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from qnn.cli.no_model import of_a_file, of_a_name
from qnn.errors import ModelError, PathError
from qnn.files import open_file

MODEL_SUFFIXES = (".safetensors", ".qgraph")
MODEL_ADVICE = "write one with 'qnn quantize' or 'qnn export'"
ONNX_SUFFIX = ".onnx"
ONNX_ADVICE = "export the model to ONNX, or correct the path"
# What torch.export.save wrote; what else has the other names is told by what it is.
PROGRAM_SUFFIXES = (".pt2", ".pt", ".pth", ".ckpt")
PROGRAM_ADVICE = "save the model with torch.export.save, or correct the path"
DIGITS = "digits"  # the data set that needs no file
NONE = "none"  # what stands for no file where one could be named


def new_file(*suffixes: str) -> Callable[[Path | None], Path | None]:
    """The check that a file, with one of ``suffixes`` if there are any, can be written there."""

    def check(path: Path | None) -> Path | None:
        if path is None:
            return None
        if path.is_dir():
            raise PathError(f"{path}: a file is to be written, but this is a folder; name a file")
        # A pipe or a device, such as /dev/stdout, takes what it is given under any name.
        if path.exists() and not path.is_file():
            if not os.access(path, os.W_OK):
                raise PathError(f"{path}: cannot be written; choose another path")
            return path
        if suffixes and path.suffix not in suffixes:
            raise typer.BadParameter(f"needs a name that ends in {_one_of(suffixes)}, not '{path}'")
        _check_writable(path.parent, path)
        return path

    return check


def new_folder(path: Path | None) -> Path | None:
    """The check that files can be written into a folder, which need not be there."""
    if path is None:
        return None
    if path.exists() and not path.is_dir():
        raise PathError(f"{path}: a folder is to be written, but this is a file; name a folder")
    _check_writable(_nearest(path), path)
    return path


def new_build(path: Path) -> Path:
    """The check that a build can be written to a folder: new, empty, or an earlier build."""
    # Here, as it loads numpy, which only this command needs.
    from qnn.design import check_replaceable

    check_replaceable(path)
    # Beside, as a build is written there and renamed.
    _check_writable(_nearest(path.absolute().parent), path)
    return path


def old_file(*suffixes: str, advice: str = "correct the path"):
    """The check that a file can be read, with one of ``suffixes`` if there are any."""

    def check(path: Path | str | None) -> Path | str | None:
        if path is None or str(path) == NONE:
            return path
        if suffixes and Path(path).suffix not in suffixes:
            raise typer.BadParameter(f"needs a name that ends in {_one_of(suffixes)}, not '{path}'")
        _check_readable(Path(path), str(path), advice)
        return path

    return check


def data_source(name: str | None) -> str | None:
    """The check that a data set is there: ``digits``, an ``.npz`` file, or a folder."""
    if name is None or name == DIGITS:
        return name
    advice = f"give '{DIGITS}', an .npz file or a folder of images"
    path = Path(name)
    if path.is_dir():
        if not os.access(path, os.R_OK | os.X_OK):
            raise PathError(f"data {name}: the folder cannot be read; {advice}")
        return name
    _check_readable(path, f"data {name}", advice)
    if path.suffix != ".npz":
        raise typer.BadParameter(f"needs '{DIGITS}', an .npz file or a folder, not '{name}'")
    return name


def taken_data(name: str) -> str:
    """What sentences call a data set: also that digits may be nobody's choice."""
    return f"{DIGITS} (taken where no --data is given)" if name == DIGITS else name


def graph_file(path: Path) -> Path:
    """The check of the file of a quantized network, of ours or of QONNX."""
    advice = ONNX_ADVICE if path.suffix == ONNX_SUFFIX else MODEL_ADVICE
    return old_file(*MODEL_SUFFIXES, ONNX_SUFFIX, advice=advice)(path)


def float_model(name: str | None) -> str | None:
    """The check of a model's file, a name of the zoo or ``module:factory``, which must be there."""
    from qnn.nn.names import ZOO_NAMES, import_advice

    if name is None or name in (*ZOO_NAMES, NONE):
        return name
    if name.endswith(ONNX_SUFFIX):
        return old_file(advice=ONNX_ADVICE)(name)
    if name.endswith(PROGRAM_SUFFIXES):
        return old_file(advice=PROGRAM_ADVICE)(name)
    if name.endswith(MODEL_SUFFIXES):
        raise ModelError(of_a_file(name))
    module, colon, factory = name.partition(":")
    if not colon or not module or not factory:
        raise ModelError(
            f"model needs to be one of {', '.join(ZOO_NAMES)}, module:factory, an .onnx or a .pt2 "
            f"file, not '{name}'; {of_a_name(name)}"
        )
    # Only the outermost package: looking for what is inside would run its code.
    outermost = module.partition(".")[0]
    if "" not in sys.path:
        sys.path.insert(0, "")  # it may lie in the current folder
    # A file that was written a moment ago may not be in Python's lists of folders yet.
    importlib.invalidate_caches()
    try:
        found = importlib.util.find_spec(outermost) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        raise ModelError(
            f"model '{name}' cannot be imported: No module named '{outermost}'; "
            f"{import_advice(outermost)}"
        )
    return name


def factory(name: str | None) -> str | None:
    """The check of a float model that Python builds: a name of the zoo or ``module:factory``."""
    if name is not None and name.endswith((ONNX_SUFFIX, *PROGRAM_SUFFIXES)):
        raise typer.BadParameter(
            f"needs module:factory or a name of the zoo, not {kind_of_file(name)} file; quantize "
            f"that one"
        )
    return float_model(name)


def kind_of_file(name: str) -> str:
    """What sentences call the kind of a model's file, with its article."""
    return f"an {ONNX_SUFFIX}" if name.endswith(ONNX_SUFFIX) else f"a {PROGRAM_SUFFIXES[0]}"


def trainable(name: str) -> str:
    """The check of a quantized model's file or of a float model that Python builds."""
    if not name.endswith(".safetensors"):
        return factory(name)
    return old_file(advice=MODEL_ADVICE)(name)


def checkable(name: str) -> str:
    """The check of what ``qnn check`` takes: a folder, a file, or a float model's name."""
    if Path(name).is_dir():
        return name
    if Path(name).suffix in MODEL_SUFFIXES:
        return old_file(advice=MODEL_ADVICE)(name)
    return float_model(name)


def one_of(names: Sequence[str]) -> Callable[[str | None], str | None]:
    """The check that a name is one of those that there are."""

    def check(name: str | None) -> str | None:
        if name is not None and name not in names:
            raise typer.BadParameter(f"must be one of {', '.join(names)}, not '{name}'")
        return name

    return check


def positive(number: float | None) -> float | None:
    """The check that a number is above zero and finite."""
    # So written that no number, which compares with nothing, is found too.
    if number is not None and not 0 < number < float("inf"):
        raise typer.BadParameter(f"needs a number above 0, not {number:g}")
    return number


def processor(name: str | None) -> str | None:
    """The check of what torch computes on."""
    if name is not None and not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise typer.BadParameter(f"must be cpu, cuda or cuda:NUMBER, not '{name}'")
    return name


def valid(convert: Callable[[str, str], object]) -> Callable:
    """The check that ``convert(option, text)`` takes a text; the command converts it later."""

    def check(parameter: typer.CallbackParam, text: str | None) -> str | None:
        option = parameter.opts[0]
        try:
            convert(option, text)
        except typer.BadParameter as error:
            # Once: the parser names the option, as it does of every value that is wrong.
            text = error.message.removeprefix(option).lstrip(": ")
            raise typer.BadParameter(text) from None
        return text

    return check


def refuse_given(context: typer.Context, names: Sequence[str], reason: str) -> None:
    """Raise if the command line gives an option that would be left alone without a word.

    Parameters
    ----------
    names : of the options' parameters
    reason : what they are of, and what to do, as ``is of --timing; give it as well``
    """
    for parameter in context.command.params:
        # A default is no wish: only what stands on the command line would be missed.
        source = context.get_parameter_source(parameter.name)
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"{parameter.opts[0]} {reason}")


def _one_of(suffixes):
    return " or ".join(suffixes)


def _nearest(folder):
    """The folder, or the nearest above it that is there: the ones between are made as needed."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _check_writable(folder, path):
    """Raise unless a file can be made in ``folder``."""
    try:
        # Really made, without a name: rights alone say nothing of a read-only or full disk.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        where = "" if folder == path else f" in {folder}"
        raise PathError(
            f"{path}: nothing can be written{where} ('{error.strerror}'); choose another path"
        ) from None


def _check_readable(path, what, advice):
    try:
        open_file(path).close()
    except OSError as error:
        raise PathError(f"{what}: cannot be read ('{error.strerror}'); {advice}") from None
