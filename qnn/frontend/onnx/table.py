"""ONNX's operators by name: each as calls of PyTorch, whose ATen names have our constructors.

So there is one set of operators: ``qnn.frontend.aten`` reads what ONNX files say as it reads what
modules say, with the same passes and the same refusals.
"""

from collections.abc import Mapping

from qnn.frontend.onnx import (
    constants,
    elementwise,
    fused,
    layers,
    places,
    qonnx_quantizers,
    quantized,
    recurrent,
    reductions,
    resizing,
    scikit,
    windows,
)
from qnn.frontend.onnx.call import Reader
from qnn.interchange.file_rules import is_of_qonnx

FAMILIES = (
    constants,
    elementwise,
    fused,
    layers,
    places,
    qonnx_quantizers,
    quantized,
    recurrent,
    reductions,
    resizing,
    scikit,
    windows,
)
TABLE: Mapping[str, Reader] = {
    name: reader for family in FAMILIES for name, reader in family.OPERATORS.items()
}

# What to do about operators that have no entry.
CURES: Mapping[str, str] = {
    "NonMaxSuppression": "let the network end before it, and the host choose among the boxes",
    "Loop": "export the model with its loops unrolled",
    "Scan": "export the model with its loops unrolled",
    "If": "export the model with the branch that is taken alone",
    "ai.onnx.ml.ZipMap": "convert the model with options={'zipmap': False}, as skl2onnx has it",
    **dict.fromkeys(
        ("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"),
        "quantize the model in the QDQ format, or give the float model",
    ),
}


def cure_of(kind: str) -> str:
    """What a user can do about the operator ``kind``, which is not in ``TABLE``."""
    # Their integers would be lost in a float network.
    if is_of_qonnx(kind):
        return (
            "read the quantized network as it is, with 'qnn compile FILE' or qnn.from_qonnx, or "
            "quantize it anew with --requantize or requantize=True"
        )
    if kind.startswith(("com.microsoft.Q", "com.microsoft.MatMulInteger", "com.microsoft.Dynamic")):
        return CURES["QLinearConv"]
    # Of its highest level, whose files no other processor can run either.
    if kind.startswith("com.microsoft.nchwc."):
        return "save the model before it is optimized for a processor"
    usual = "export the model without it, or let the network end before it"
    return CURES.get(kind, usual)
