"""Quantizers of PyTorch's PT2E flow: reals again, within the range that they were calibrated to.

torchao writes them into the programs that it converts. Weights behind theirs are constants.
"""

from qnn.frontend.aten.call import Call
from qnn.frontend.aten.clamp import clamp
from qnn.frontend.ops.operator import FloatOperator

DO = "quantize statically, with one scale for a tensor, or give the float model"


def quantize(call: Call) -> FloatOperator:
    """A clamp to the range of a quantizer, from which its type then follows."""
    scale, zero = (call.number(key, DO) for key in ("scale", "zero_point"))
    ends = [(call[key] - zero) * scale for key in ("quant_min", "quant_max")]
    source = call.source()
    call.neutral("dtype")
    # The user's data are what they are, and their type is chosen for them.
    if not source.inputs:
        return source
    return clamp(call, *ends)


def dequantize(call: Call) -> FloatOperator:
    """The operand: ``quantize`` gives reals."""
    call.neutral("scale", "zero_point", "quant_min", "quant_max", "dtype", "out_dtype")
    return call.source()


OPERATORS = {
    f"quantized_decomposed.{name}_per_tensor": reader
    for name, reader in (("quantize", quantize), ("dequantize", dequantize))
}
