"""ATen's average pooling, and pooling to a size of either kind."""

import math

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.ops.max_pool import FloatMaxPool
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
    source, window = call.source(), windows_to(call)
    return AveragePool(
        name=call.name,
        inputs=(source.name,),
        shape=call.shape,
        window=window,
        divisor=math.prod(window.kernel),
    )


def adaptive_max_pool2d(call: Call) -> FloatMaxPool:
    """Maximum pooling to a size; a size of None keeps the image's."""
    source, window = call.source(), windows_to(call)
    return FloatMaxPool(name=call.name, inputs=(source.name,), shape=call.shape, window=window)


def windows_to(call: Call) -> Window:
    """The windows of a pooling to a size, where all of them are alike."""
    # A result without values has no windows, which the result's shape refuses in the same words as
    # any other.
    source, _ = call.source(), call.shape
    # A sequence is an image of one column.
    sizes = zip((*call["output_size"], 1), source.shape[1:], strict=False)
    size = tuple(own if wanted is None else wanted for wanted, own in sizes)
    windows = [_windows(n, count) for n, count in zip(source.shape[1:], size, strict=True)]
    if None in windows:
        raise call.refuse(
            "an output size that gives windows of one size and stride",
            f"{size[0]}x{size[1]} of {source.shape[1]}x{source.shape[2]}",
            "choose one that divides the input's",
        )
    kernel, stride = zip(*windows, strict=True)
    return Window(kernel=kernel, stride=stride)


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
    # Their second results are places of the maxima, which nothing here may read.
    "aten.adaptive_max_pool1d": adaptive_max_pool2d,
    "aten.adaptive_max_pool2d": adaptive_max_pool2d,
}
