"""ATen's maximum pooling."""

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.max_pool import FloatMaxPool
from qnn.ir.window import Window


def max_pool2d(call: Call) -> FloatMaxPool:
    """Maximum pooling of an image or a sequence, with ceil_mode as padding behind it."""
    source, shape, kernel = call.source(), call.shape, call.pair("kernel_size")
    stride, dilation = call.pair("stride", kernel), call.pair("dilation")
    # The result's shape says how many windows there are.
    call.neutral("ceil_mode")
    padding = [
        _padding(source.shape[a + 1], shape[a + 1], kernel[a], stride[a], dilation[a], before)
        for a, before in enumerate(call.pair("padding"))
    ]
    return FloatMaxPool(
        name=call.name,
        inputs=(source.name,),
        shape=shape,
        window=Window(
            kernel=kernel,
            stride=stride,
            padding=(*padding[0], *padding[1]),
            dilation=dilation,
        ),
    )


def _padding(size, out, kernel, stride, dilation, before):
    """(before, behind) so that exactly ``out`` windows fit."""
    # With ceil_mode the last window may reach further than the padding.
    return before, max((out - 1) * stride + dilation * (kernel - 1) + 1 - size - before, 0)


# Those with indices have the places of the maxima too, which nothing here may read.
OPERATORS = {
    f"aten.max_pool{axes}d{places}": max_pool2d
    for axes in (1, 2)
    for places in ("", "_with_indices")
}
