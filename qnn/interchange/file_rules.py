"""What holds of every ONNX file that is read, float or quantized."""

from pathlib import Path
from typing import TYPE_CHECKING

from qnn.errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto

MOST_NODES = 100_000  # an order of magnitude more than the largest detectors have
# How the domains of QONNX's operators begin: tools differ in which one they write.
QONNX_DOMAINS = ("qonnx.", "onnx.brevitas", "finn.")

QUANTIZERS = ("BipolarQuant", "FloatQuant", "IntQuant", "Quant")  # operators that are read

# The property of a file of integers, as ``to_onnx`` writes it, that says what its inputs take.
INTEGER_INPUTS = "qnn.inputs"


def check_no_integers(path: Path, model: "ModelProto") -> None:
    """Return if a file is none that ``to_onnx`` has written for other runtimes.

    Raises
    ------
    ModelError
        It is: its operators on integers are no network that could be read back.
    """
    if any(each.key == INTEGER_INPUTS for each in model.metadata_props):
        raise ModelError(
            f"{path}: has integers for other runtimes to compute, as 'qnn export --format onnx' "
            f"writes them, and is not read back; give the .safetensors or .qgraph that it was "
            f"made of, or export --format qonnx"
        )


def is_of_qonnx(operator: str | bytes) -> bool:
    """Whether a domain, or an operator behind its domain, is QONNX's; bytes are no text at all."""
    return isinstance(operator, str) and operator.startswith(QONNX_DOMAINS)
