"""ATen's convolutions."""

from qnn.frontend.aten.call import Call
from qnn.frontend.aten.enlarge import transposed
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.operator import FloatOperator
from qnn.ir.window import Window


def conv2d(call: Call) -> FloatConv:
    """A convolution of an image or a sequence, with zeros for padding."""
    weight, dilation = call.weight("weight"), call.pair("dilation")
    # A sequence is an image of one column.
    weight = weight[..., None] if weight.dim() == 3 else weight
    kernel = tuple(weight.shape[2:])
    return FloatConv(
        name=call.name,
        inputs=(call.source().name,),
        shape=call.shape,
        window=Window(
            kernel=kernel,
            stride=call.pair("stride"),
            padding=_padding(call, kernel, dilation),
            dilation=dilation,
            groups=call["groups"],
        ),
        weight=weight,
        bias=call.weight("bias"),
    )


def _padding(call, kernel, dilation):
    if call["padding"] == "same":
        # PyTorch puts the odd row or column of an even kernel behind the image.
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        (top, left), (bottom, right) = ([t // 2 for t in total], [t - t // 2 for t in total])
        return (top, bottom, left, right)
    vertical, horizontal = (0, 0) if call["padding"] == "valid" else call.pair("padding")
    return (vertical, vertical, horizontal, horizontal)


def convolution(call: Call) -> FloatOperator:
    """The general form of a convolution, which says beside the rest whether it is transposed."""
    # A transposed one may have the shape of a plain one, and would be taken for it.
    if call["transposed"]:
        return transposed(call)
    # Only a transposed one has a choice of sizes; PyTorch ignores it in others.
    call.neutral("output_padding")
    return conv2d(call)


OPERATORS = {
    "aten.conv1d": conv2d,
    "aten.conv2d": conv2d,
    "aten.convolution": convolution,
}
