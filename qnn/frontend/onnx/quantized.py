"""QuantizeLinear and DequantizeLinear: float values again, and what the file was calibrated to."""

from collections.abc import Mapping

import torch
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall, Reader

# Integers of each type. PyTorch has none of 16 bits without a sign, which stand as wider ones.
BOUNDS: Mapping[torch.dtype, tuple[int, int]] = {
    torch.uint8: (0, 255),
    torch.int8: (-128, 127),
    torch.int16: (-(1 << 15), (1 << 15) - 1),
    torch.int64: (0, (1 << 16) - 1),
}
OF_INPUT = "of an input"  # an attribute of ours: what is read is what the user gives


def quantize(call: OnnxCall) -> Tensor:
    """QuantizeLinear: of a constant its integers, of a tensor that is computed the reals for them.

    A float network rounds nothing, but stays within the range that the file was calibrated to, from
    which its types then follow. Clamps are free behind what sums.
    """
    # A file may hold weights as reals and round them itself: those it computes with.
    scale, zero = _spread(call, call[0], call[1]), call.tensor(2)
    bounds = BOUNDS.get(torch.uint8 if zero is None else zero.dtype)
    call.require(bounds is not None, "integers of 8 or 16 bits", "others", "export without them")
    offset = torch.zeros(()) if zero is None else _spread(call, call[0], zero.to(torch.float32))
    if call.constants[0]:
        found = torch.round(call[0] / scale) + offset
        return found.clamp(*bounds).to(torch.int32)
    if call.exact:
        low, high = (bound - offset for bound in bounds)
        return torch.minimum(torch.maximum(torch.round(call[0] / scale), low), high) * scale
    # The user's data are what they are, and their type is chosen for them.
    if call.attribute(OF_INPUT) or not (call.is_known(1) and call.tensors[1].numel() == 1):
        return call[0]
    step = call.number(1)
    middle = 0 if zero is None else call.number(2)
    return torch.clamp(call[0], *((bound - middle) * step for bound in bounds))


def dequantize(call: OnnxCall) -> Tensor:
    """DequantizeLinear: of a constant, or of an input, the reals that its integers stand for."""
    # ``quantize`` gives reals.
    if not call.constants[0] and not call.attribute(OF_INPUT):
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


def quantize_dynamically(call: OnnxCall) -> Tensor:
    """DynamicQuantizeLinear: the operand, for whose range each batch decides a scale."""
    if not call.exact:
        return call[0]
    low, high = call[0].min().clamp(max=0), call[0].max().clamp(min=0)
    step = (high - low) / 255
    zero = torch.round(-low / step).clamp(0, 255)
    return (torch.round(call[0] / step + zero).clamp(0, 255) - zero) * step


OPERATORS: Mapping[str, Reader] = {
    "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize,
    "DynamicQuantizeLinear": quantize_dynamically,
}
