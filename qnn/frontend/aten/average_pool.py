"""ATen's average pooling, to a size or by a window."""

import math

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.average_pool import AveragePool
from qnn.ir.window import Pair, Window


def avg_pool2d(call: Call) -> AveragePool:
    """Average pooling by windows that are whole and have one divisor."""
    source, shape, kernel = call.source(), call.shape, call.pair("kernel_size")
    # An empty stride is PyTorch's way to say the kernel's.
    stride, padding = call.pair("stride", kernel), call.pair("padding")
    # At the border it would divide by fewer values, while weights are the same everywhere.
    if not call["count_include_pad"] and any(padding):
        raise call.refuse(
            "one divisor for all windows",
            "count_include_pad=False with padding",
            "set count_include_pad=True or padding=0",
        )
    divisor = call.get("divisor_override") or math.prod(kernel)
    # Averages of what is never negative are never negative, which later stages rely on.
    if divisor < 0:
        raise call.refuse("a positive divisor", f"divisor_override={divisor}", "negate weights")
    # The result's shape says how many windows there are.
    call.neutral("ceil_mode")
    around = (padding[0], padding[0], padding[1], padding[1])
    window = Window(kernel=kernel, stride=stride, padding=around)
    if shape[1:] != window.output_size(source.shape[1:]):
        raise call.refuse(
            "whole windows", "ceil_mode=True with windows cut at the edge", "set ceil_mode=False"
        )
    return AveragePool(
        name=call.name,
        inputs=(source.name,),
        shape=shape,
        window=window,
        divisor=divisor,
    )


def adaptive_avg_pool2d(call: Call) -> AveragePool:
    """Average pooling to a size; a size of None keeps the image's."""
    # A sequence is an image of one column.
    sizes = zip((*call["output_size"], 1), call.source().shape[1:], strict=False)
    down, right = (own if wanted is None else wanted for wanted, own in sizes)
    return _pool_to(call, (down, right))


def _pool_to(call: Call, size: Pair) -> AveragePool:
    """Average pooling to a size, where all of its windows are alike."""
    # A result without values has no windows, which the result's shape refuses in the same words as
    # any other.
    source, _ = call.source(), call.shape
    windows = [_windows(n, count) for n, count in zip(source.shape[1:], size, strict=True)]
    if None in windows:
        raise call.refuse(
            "an output size that gives windows of one size and stride",
            f"{size[0]}x{size[1]} of {source.shape[1]}x{source.shape[2]}",
            "choose one that divides the input's",
        )
    kernel, stride = zip(*windows, strict=True)
    return AveragePool(
        name=call.name,
        inputs=(source.name,),
        shape=(source.shape[0], *size),
        window=Window(kernel=kernel, stride=stride),
        divisor=math.prod(kernel),
    )


def _windows(size: int, count: int) -> Pair | None:
    """Kernel and stride of the ``count`` windows that PyTorch lays over ``size``, if all alike."""
    stride = size // count
    kernel = size - (count - 1) * stride
    # PyTorch's rule: from the floor of a share to the ceiling of the next.
    spans = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
    alike = spans == [(i * stride, i * stride + kernel) for i in range(count)]
    return (kernel, stride) if stride and alike else None


OPERATORS = {
    "aten.avg_pool1d": avg_pool2d,
    "aten.avg_pool2d": avg_pool2d,
    "aten.adaptive_avg_pool1d": adaptive_avg_pool2d,
    "aten.adaptive_avg_pool2d": adaptive_avg_pool2d,
    "aten._adaptive_avg_pool2d": adaptive_avg_pool2d,
}
