"""ATen's average pooling, and pooling to a size of either kind."""

import math

from qnn.frontend.aten.call import Call
from qnn.frontend.aten.cut_windows import Span, pooled
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.ops.max_pool import FloatMaxPool
from qnn.frontend.ops.operator import FloatOperator
from qnn.ir.window import Pair, Window


def avg_pool2d(call: Call) -> FloatOperator:
    """Average pooling; windows that are cut at a border divide by what they have there."""
    source, shape, kernel = call.source(), call.shape, call.pair("kernel_size")
    # An empty stride is PyTorch's way to say the kernel's.
    stride, padding = call.pair("stride", kernel), call.pair("padding")
    own, counts_zeros = call.get("divisor_override"), call["count_include_pad"]
    divisor = own or math.prod(kernel)
    # Averages of what is never negative are never negative, which later stages rely on.
    if divisor < 0:
        raise call.refuse("a positive divisor", f"divisor_override={divisor}", "negate weights")
    # The result's shape says how many windows there are.
    call.neutral("ceil_mode")
    around = (padding[0], padding[0], padding[1], padding[1])
    window = Window(kernel=kernel, stride=stride, padding=around)
    alike = counts_zeros or own or not any(padding)
    if not alike or shape[1:] != window.output_size(source.shape[1:]):
        rows, columns = (
            _cut(source.shape[1 + a], shape[1 + a], kernel[a], stride[a], padding[a], counts_zeros)
            for a in (0, 1)
        )
        return pooled(call, rows, columns, own)
    return AveragePool(
        name=call.name,
        inputs=(source.name,),
        shape=shape,
        window=window,
        divisor=divisor,
    )


def _cut(size, count, kernel, stride, padding, counts_zeros) -> list[Span]:
    """The windows along an axis: each ends at the padding, and has values in the image alone."""
    spans = []
    for number in range(count):
        first = number * stride - padding
        last = min(first + kernel, size + padding)
        held = min(last, size) - max(first, 0)
        spans.append((max(first, 0), held, last - first if counts_zeros else held))
    return spans


def adaptive_avg_pool2d(call: Call) -> FloatOperator:
    """Average pooling to a size; a size of None keeps the image's."""
    window = _windows_to(call)
    if window is None:
        return pooled(call, *_uneven(call))
    return AveragePool(
        name=call.name,
        inputs=(call.source().name,),
        shape=call.shape,
        window=window,
        divisor=math.prod(window.kernel),
    )


def adaptive_max_pool2d(call: Call) -> FloatOperator:
    """Maximum pooling to a size; a size of None keeps the image's."""
    window = _windows_to(call)
    if window is None:
        return pooled(call, *_uneven(call), greatest=True)
    names = (call.source().name,)
    return FloatMaxPool(name=call.name, inputs=names, shape=call.shape, window=window)


def _windows_to(call: Call) -> Window | None:
    """The windows of a pooling to a size, where all of them are alike."""
    # The result's shape tells the size, and refuses a result without values.
    call.neutral("output_size")
    sizes = zip(call.source().shape[1:], call.shape[1:], strict=True)
    windows = [_windows(n, count) for n, count in sizes]
    if None in windows:
        return None
    kernel, stride = zip(*windows, strict=True)
    return Window(kernel=kernel, stride=stride)


def _uneven(call):
    """The windows of rows and of columns, each of its own size."""
    sizes = zip(call.source().shape[1:], call.shape[1:], strict=True)
    return [[(a, b - a, b - a) for a, b in _shares(n, count)] for n, count in sizes]


def _windows(size: int, count: int) -> Pair | None:
    """Kernel and stride of the ``count`` windows that PyTorch lays over ``size``, if all alike."""
    stride = size // count
    kernel = size - (count - 1) * stride
    alike = _shares(size, count) == [(i * stride, i * stride + kernel) for i in range(count)]
    return (kernel, stride) if stride and alike else None


def _shares(size: int, count: int) -> list[Pair]:
    """First place and end of each window."""
    # PyTorch's rule: from the floor of a share to the ceiling of the next.
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


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
