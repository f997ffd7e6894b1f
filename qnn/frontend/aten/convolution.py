"""ATen's convolutions and linear layers; transposed convolutions are rejected here."""

from typing import NoReturn

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.conv import FloatConv
from qnn.ir.window import Window


def conv2d(call: Call) -> FloatConv:
    """A convolution of an image, with zeros for padding."""
    weight, dilation = call.weight("weight"), call.pair("dilation")
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


def linear(call: Call) -> FloatConv:
    """A linear layer on vectors, which is a convolution of images of one pixel."""
    # On more axes it would be a product for each row, which is no convolution of an image.
    weight, shape = call.weight("weight"), call.shape
    if call.source().shape[1:] != (1, 1) or shape[1:] != (1, 1):
        raise call.refuse(
            "a vector", f"a tensor of shape {call.source().shape}", "put a flatten before it"
        )
    return FloatConv(
        name=call.name,
        inputs=(call.source().name,),
        shape=shape,
        window=Window(kernel=(1, 1)),
        # A kernel of one pixel.
        weight=weight[:, :, None, None],
        bias=call.weight("bias"),
    )


def convolution(call: Call) -> FloatConv:
    """The general form of a convolution, which says beside the rest whether it is transposed."""
    # A transposed one may have the shape of a plain one, and would be taken for it.
    return transposed(call) if call["transposed"] else conv2d(call)


def transposed(call: Call) -> NoReturn:
    """Reject a transposed convolution, which enlarges an image."""
    raise call.refuse("a convolution", "a transposed one", "enlarge images on the host")


OPERATORS = {
    "aten.conv2d": conv2d,
    "aten.conv_transpose2d": transposed,
    "aten.convolution": convolution,
    "aten.linear": linear,
}
