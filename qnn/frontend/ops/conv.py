"""FloatConv: a convolution with what fusion has put around it."""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.ops.activated import (
    activated,
    activation_text,
    with_activation,
    without_function,
)
from qnn.frontend.ops.batch_norm import Statistics
from qnn.frontend.ops.operator import FloatOperator, Gain, Reordered, options
from qnn.frontend.ops.window import bordered, sliced, window_text, windowed
from qnn.functions.elementwise import Elementwise
from qnn.functions.given import GivenQuantizer
from qnn.functions.table import is_never_negative
from qnn.ir.exact import turned
from qnn.ir.shape import Shape
from qnn.ir.window import Window


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatConv(FloatOperator):
    """``clamp(batchnorm(conv(x, weight * scale) + bias) + skip, low, high)``; padding is zeros.

    With a function, its value of the sum is the result instead, and there is no clamp.

    Members
    -------
    inputs : the operand, and the skip operand if there is one
    weight : (outputs, inputs / groups, kernel height, kernel width)
    fixed : whether the weights are the architecture's and not learned: they select, sum, average
        or, with a normalisation of its own, scale
    requantize : asks for a type of its own where the values are only copied
    exact_terms : of fixed weights that stay as they are, as they are sums of so many codes
    """

    kind = "conv"

    window: Window
    weight: Tensor
    bias: Tensor | None = None
    batchnorm: Statistics | None = None
    scale: float = 1.0
    low: float | None = None
    high: float | None = None
    function: Elementwise | None = None
    given: GivenQuantizer | None = None
    fixed: bool = False
    requantize: bool = False
    exact_terms: int | None = None

    @property
    def weighs(self) -> bool:
        return True

    @property
    def learned(self) -> bool:
        return not self.fixed

    @property
    def normalises(self) -> bool:
        return self.batchnorm is not None and self.diagonal and self.fixed

    @property
    def skip(self) -> str | None:
        """Name of the operand that is added after the sum."""
        return self.inputs[1] if len(self.inputs) == 2 else None

    @property
    def only_weighs(self) -> bool:
        plain = self.bias is None and self.batchnorm is None
        return self.fixed and self.takes_skip and plain

    @property
    def takes_skip(self) -> bool:
        # The epilogue adds before it clamps, and one operand alone.
        return not self.activated and self.skip is None

    @property
    def clamped(self) -> bool:
        """Whether a clamp was fused in."""
        return self.low is not None or self.high is not None

    @property
    def activated(self) -> bool:
        """Whether a clamp, a function or a quantizer was fused in."""
        return self.clamped or self.function is not None or self.given is not None

    @property
    def pointwise(self) -> bool:
        """Whether each result is computed from the values at one place of the image."""
        return self.window.kernel == (1, 1) and not any(self.window.padding)

    @property
    def diagonal(self) -> bool:
        """Whether each channel is the one of the same number times a weight of its own."""
        return self.weight.shape[1:] == (1, 1, 1) and self.window.groups == self.shape[0]

    @property
    def copies(self) -> bool:
        """Whether every result is one operand or zero, so that nothing needs rounding."""
        plain = self.fixed and not self.activated and self.batchnorm is None
        if not plain or self.skip is not None or self.bias is not None:
            return False
        # At most one 1 in each row, and nothing else: what is selected is exact.
        ones = (self.weight == 1).sum((1, 2, 3))
        selects = bool(((self.weight == 0) | (self.weight == 1)).all() and (ones <= 1).all())
        return selects or self._spreads

    @property
    def _spreads(self):
        """Whether each window sees one value, which those of its whole row or column see too."""
        down, right = (size - 1 for size in self.window.kernel)
        sizes = zip(self.window.kernel, self.shape[1:], strict=True)
        # With as much padding, a kernel of the result's size is over an axis of one pixel.
        alone = all(own in (1, size) for own, size in sizes) and self.weight.shape[1] == 1
        padded = self.window.padding == (down, down, right, right)
        return alone and padded and bool((self.weight == 1).all())

    @property
    def added_places(self) -> int | None:
        if not self.fixed or self.batchnorm is not None or not bool(self.weight.any()):
            return None
        least = float(self.weight[self.weight != 0].abs().min()) * abs(self.scale)
        return max(math.ceil(-math.log2(least)), 0)

    @property
    def shares_type(self) -> bool:
        return self.copies and not self.requantize

    def never_negative(self, operands: bool) -> bool:
        # Weights of the architecture are shares and ones, unless a normalisation is theirs, or they
        # subtract.
        plain = self.fixed and self.batchnorm is None and bool((self.weight >= 0).all())
        sums = plain and operands
        if self.function is not None:
            return is_never_negative(self.function, of_negative=not sums)
        given = self.given is not None and self.given.low >= 0
        return sums or given or (self.low is not None and self.low >= 0)

    def moved(self, gains: tuple[Gain, ...]) -> Gain | None:
        if not self.shares_type:
            return None
        chosen = (self.weight.double() * self._read(gains[0])).amax((1, 2, 3))
        # Of a channel of zeros it is no matter.
        return tuple(torch.where(chosen > 0, chosen, 1.0).tolist())

    def without_gain(self, gains: tuple[Gain | None, ...]) -> "FloatConv | None":
        if self.fixed or gains[0] is None or any(gains[1:]):
            return None
        weight = self.weight.double() / self._read(gains[0])
        return replace(self, weight=weight.to(self.weight.dtype))

    def _read(self, gain):
        """The factor that each weight meets, (outputs, inputs / groups, 1, 1) float64."""
        outputs, each = self.weight.shape[:2]
        group = torch.arange(outputs) // (outputs // self.window.groups)
        channels = group[:, None] * each + torch.arange(each)
        return torch.tensor(gain, dtype=torch.float64)[channels][:, :, None, None]

    def adds(self, name: str) -> bool:
        return self.skip == name or self.fixed

    def selected(self, channels: tuple[int, ...], inputs: tuple[str, ...]) -> "FloatConv | None":
        if not self.diagonal:
            return None
        window = replace(self.window, groups=len(channels))
        return replace(self._rows(channels), inputs=inputs, window=window)

    def of_outputs(self, channels: tuple[int, ...]) -> "FloatConv | None":
        # Groups have as many outputs each, and a skip operand would have to lose channels too.
        if not self._has_alike(channels) or self.skip is not None:
            return None
        return self._rows(channels)

    def _has_alike(self, channels):
        """Whether each group has as many of the outputs, in the order of the groups."""
        groups, each = self.window.groups, self.shape[0] // self.window.groups
        count = len(channels) // groups
        numbers = [channel // each for channel in channels]
        return numbers == [group for group in range(groups) for _ in range(count)]

    def unordered(self, order: tuple[int, ...], inputs: tuple[str, ...]) -> Reordered | None:
        if self.window.groups > 1 or self.skip is not None:
            return super().unordered(order, inputs)
        # Columns move, and no value changes.
        weight = torch.empty_like(self.weight)
        weight[:, list(order)] = self.weight
        return replace(self, inputs=inputs, weight=weight), None

    def _rows(self, channels):
        place = list(channels)
        return replace(
            self._fewer(channels, self.inputs),
            weight=self.weight[place],
            bias=None if self.bias is None else self.bias[place],
            batchnorm=None if self.batchnorm is None else self.batchnorm.of(channels),
            function=None if self.function is None else self.function.at(channels),
        )

    def sliced(self, part: FloatOperator, source: Shape) -> "FloatConv | None":
        # A skip operand would have to be sliced too.
        if self.skip is not None:
            return None
        window = sliced(self.window, part.start, part.stride, part.shape[1:], source[1:])
        return None if window is None else replace(self, window=window)

    def activated_by(self, activation: FloatOperator) -> "FloatConv | None":
        return with_activation(self, activation)

    def unfused(self) -> tuple[FloatOperator, ...]:
        return without_function(self)

    def output_shape(self, sources: tuple[Shape, ...]) -> Shape:
        return windowed(self.window, len(self.weight), sources[0])

    def evaluate(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        y = F.conv2d(
            bordered(x, self.window.padding),
            self.weight * self.scale,
            self.bias,
            stride=self.window.forwards().stride,
            dilation=self.window.dilation,
            groups=self.window.groups,
        )
        y = turned(y, self.window)
        # Not folded into the weights: calibration computes what the model does, in its order.
        y = y if self.batchnorm is None else self.batchnorm.normalised(y)
        y = y if skip is None else y + skip
        return activated(self, y)

    def details(self) -> list[str]:
        kernel, *window = window_text(self.window)
        held = {"bias": self.bias, "batchnorm": self.batchnorm}
        flags = [name for name, value in held.items() if value is not None]
        flags += [name for name in ("fixed", "requantize") if getattr(self, name)]
        return [
            kernel,
            *options({"scale": self.scale}, {"scale": 1.0}),
            *window,
            *activation_text(self),
            *flags,
        ]


def identity(name: str, source: FloatOperator) -> FloatConv:
    """A convolution that copies ``source`` channel by channel."""
    channels = source.shape[0]
    return FloatConv(
        name=name,
        inputs=(source.name,),
        shape=source.shape,
        window=Window(kernel=(1, 1), groups=channels),
        weight=torch.ones(channels, 1, 1, 1),
        fixed=True,
    )


def each_value(conv: FloatConv, image: FloatOperator) -> FloatConv:
    """A diagonal layer on the flattened ``image`` as one on the image: an output for each value."""
    channels, height, width = image.shape
    # A kernel as large as the image with a single one in it picks one pixel; one kernel for each
    # pixel puts all of them into channels.
    place = torch.eye(height * width).reshape(-1, 1, height, width).repeat(channels, 1, 1, 1)
    return replace(
        conv,
        inputs=(image.name, *conv.inputs[1:]),
        weight=conv.weight * place,
        window=Window(kernel=(height, width), groups=channels),
    )


def pointwise(
    name: str,
    source: FloatOperator,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    fixed: bool = False,
) -> FloatConv:
    """A matrix, (outputs, inputs), times the channels of each pixel of ``source``."""
    return FloatConv(
        name=name,
        inputs=(source.name,),
        shape=(len(weight), *source.shape[1:]),
        window=Window(kernel=(1, 1)),
        weight=weight[:, :, None, None].contiguous(),
        bias=bias,
        fixed=fixed,
    )
