"""QuantizeLinear and DequantizeLinear: float values again, and what the file was calibrated to."""

from collections.abc import Mapping

import torch
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall, Reader


def quantize(call: OnnxCall) -> Tensor:
    """QuantizeLinear: of a tensor that is computed itself, of a constant its integers."""
    if not call.constants[0]:
        return call[0]
    # A file may hold weights as reals and round them itself: those it computes with.
    scale, zero = _spread(call, call[0], call[1]), call.tensor(2)
    kind = torch.uint8 if zero is None else zero.dtype
    bounds = torch.iinfo(kind)
    offset = 0 if zero is None else _spread(call, call[0], zero.to(torch.float32))
    found = torch.round(call[0] / scale) + offset
    return found.clamp(bounds.min, bounds.max).to(kind)


def dequantize(call: OnnxCall) -> Tensor:
    """DequantizeLinear of a constant: the reals that its integers stand for."""
    if not call.constants[0]:
        return call[0]
    found, zero = call[0].to(torch.float32), call.tensor(2)
    if zero is not None:
        found = found - _spread(call, found, zero.to(torch.float32))
    return found * _spread(call, found, call[1])


def _spread(call, values, numbers):
    """Numbers of each place along an axis, as broadcasting takes them."""
    if numbers.numel() == 1 or numbers.dim() != 1:
        call.require(
            numbers.numel() == 1, "a scale for each place of an axis", "blocks", "export without"
        )
        return numbers.reshape(())
    # A scale for each output channel, as weights have them.
    axis = call.attribute("axis", 1) % values.dim()
    return numbers.reshape((-1,) + (1,) * (values.dim() - axis - 1))


OPERATORS: Mapping[str, Reader] = {"QuantizeLinear": quantize, "DequantizeLinear": dequantize}
