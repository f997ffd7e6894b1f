"""The packages that read, write and run ONNX, which only this part of the compiler needs."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from qnn.errors import ToolError

EXTRAS = {"onnx": "onnx", "onnxruntime": "onnx", "qonnx": "qonnx"}  # extra of each package


def is_installed(name: str) -> bool:
    """Whether the package of that name is there."""
    return find_spec(name) is not None


def package(name: str) -> ModuleType:
    """The package of that name, or of a module in it.

    Raises
    ------
    ToolError
        It is not installed; the text says how to install it.
    """
    # When it is needed, as most commands need none of them.
    try:
        return import_module(name)
    except ImportError:
        missing = name.partition(".")[0]
        raise ToolError(
            f"ONNX files need the package {missing}, which is not installed; run pip install "
            f"'qnn[{EXTRAS[missing]}]'"
        ) from None
