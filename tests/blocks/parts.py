"""Parts of random networks: modules of one function, and what every kind of block is drawn with."""

import math
import warnings
from collections.abc import Callable

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

# (channels, height, width) of images, (channels, length) of sequences, without the batch.
Shape = tuple[int, ...]
# Draws a layer for tensors of a shape; None where tensors of that shape can have none.
Maker = Callable[[Callable, Shape], nn.Module | None]

MOST_ENLARGED = 90  # pixels of an image that becomes larger, so that simulation stays quick


class Called(nn.Module):
    """A module of one function, of the tensor and of what the layers in it make of the tensor."""

    def __init__(self, function: Callable[..., Tensor], *branches: nn.Module):
        super().__init__()
        self.function, self.branches = function, nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *(branch(x) for branch in self.branches))


def called(function: Callable[[Tensor], Tensor]) -> Maker:
    """What gives ``function``, whatever the shape is."""
    return lambda draw, shape: Called(function)


def shape_after(layer: nn.Module, shape: Shape) -> Shape:
    """The shape of what ``layer`` gives."""
    return tuple(evaluated(layer, torch.zeros(2, *shape)).shape[1:])


def evaluated(layer: nn.Module, *given: Tensor):
    """What ``layer`` gives in evaluation; it is left as it was."""
    training = layer.training
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch copies for padding="same" with even kernels
        found = layer.eval()(*given)
    layer.train(training)
    return found


def is_small(shape: Shape) -> bool:
    """Whether an image may become larger."""
    return math.prod(shape[1:]) <= MOST_ENLARGED


def space(shape: Shape) -> tuple[int, ...]:
    """The axes, counted with the batch, of height and width, or of the length."""
    return tuple(range(2, 1 + len(shape)))


def of_rank(shape: Shape, line: type, plane: type) -> type:
    """The class of layers of sequences, or that of images."""
    return line if len(shape) == 2 else plane


def divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]


def sizes(draw, shape: Shape, most: int) -> tuple[int, ...]:
    """A number of 1 to ``most`` for each axis, no more than that has pixels."""
    return tuple(draw(st.integers(1, min(size, most))) for size in shape[1:])


def conv(draw, shape: Shape, outputs=None, padding=None, stride=None, groups=None) -> nn.Module:
    """A convolution that fits ``shape``, of kernels, strides, paddings and groups as they come."""
    kernel = sizes(draw, shape, 4)
    room = [(n - 1) // (k - 1) if k > 1 else 2 for n, k in zip(shape[1:], kernel, strict=True)]
    dilation = tuple(draw(st.integers(1, min(r, 2))) for r in room)
    stride = stride or tuple(draw(st.integers(1, 3)) for _ in kernel)
    if padding is None:
        padding = tuple(draw(st.integers(0, 2)) for _ in kernel)
    if padding == "same":
        stride = (1,) * len(kernel)
    outputs = outputs or draw(st.sampled_from((1, 3, 4, 6, 8, 9, 12, 17, shape[0], 2 * shape[0])))
    groups = groups or draw(st.sampled_from((1, *divisors(math.gcd(shape[0], outputs)))))
    kind = of_rank(shape, nn.Conv1d, nn.Conv2d)
    bias = draw(st.booleans())
    return kind(shape[0], outputs, kernel, stride, padding, dilation, groups, bias)


def same(draw, shape: Shape, outputs: int) -> nn.Module:
    """A convolution that keeps the space, often with a normalisation."""
    layer = conv(draw, shape, outputs, "same")
    return nn.Sequential(layer, norm(shape, outputs)) if draw(st.booleans()) else layer


def point(shape: Shape, inputs: int, outputs: int) -> nn.Module:
    """A convolution of single pixels."""
    return of_rank(shape, nn.Conv1d, nn.Conv2d)(inputs, outputs, 1)


def norm(shape: Shape, channels: int | None = None) -> nn.Module:
    """A normalisation of ``channels``, or of those of the shape."""
    return of_rank(shape, nn.BatchNorm1d, nn.BatchNorm2d)(channels or shape[0])


def by_channel(values: Tensor, shape: Shape) -> Tensor:
    """``values`` as a constant that broadcasts over the space."""
    return values.reshape(-1, *(1 for _ in shape[1:]))
