"""What holds of every ONNX file that is read, float or quantized."""

MOST_NODES = 100_000  # an order of magnitude more than the largest detectors have
# How the domains of QONNX's operators begin: tools differ in which one they write.
QONNX_DOMAINS = ("qonnx.", "onnx.brevitas", "finn.")

QUANTIZERS = ("BipolarQuant", "FloatQuant", "IntQuant", "Quant")  # operators that are read


def is_of_qonnx(operator: str | bytes) -> bool:
    """Whether a domain, or an operator behind its domain, is QONNX's; bytes are no text at all."""
    return isinstance(operator, str) and operator.startswith(QONNX_DOMAINS)
