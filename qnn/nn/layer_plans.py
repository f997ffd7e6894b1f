"""What is fixed about each kind of layer of a quantized network: everything but its numbers.

Shapes are ``(channels, height, width)`` of one image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Annotated, ClassVar

from qnn.fields import Count, Place, Whole
from qnn.functions.elementwise import Elementwise
from qnn.functions.table import INDEX_BITS
from qnn.ir.window import Window
from qnn.nn.preprocess import Pixels
from qnn.quant import pow2
from qnn.quant.by_terms import Terms
from qnn.quant.qtype import QType

Shape = tuple[Count, Count, Count]
Bits = Annotated[int, Whole(2, 48)]  # of a tensor's integers
IndexBits = Annotated[int, Whole(2, INDEX_BITS)]  # of a table's index
TermCount = Annotated[int, Whole(1, 7)]  # an instruction counts them in 3 bits
# Of what calibration makes room for: a sum with bias and skip, also unrounded. Weights get what the
# operand leaves of it: with 16 of 32 bits taken, those of 1,152 inputs err at 42 dB in four terms.
LEAST_SUM_BITS = 32
SUM_BITS = 20  # beyond the operand's own


def sum_bits(operand_bits: int) -> int:
    """The bits of sums of products with operands of so many bits: 32, and 36 with those of 16."""
    return max(LEAST_SUM_BITS, SUM_BITS + operand_bits)


def products_of(weight: Sequence[int], shape: Sequence[int]) -> int:
    """Multiplications of a layer per image and term: one for each weight and position."""
    return prod(weight) * prod(shape[1:])


@dataclass(frozen=True, kw_only=True)
class InputPlan:
    """An image or a vector that the user gives, in integers of ``bits`` bits.

    Members
    -------
    zero_point : what is stored for 0 of a signed tensor, as in ``QType``
    pixels : what 8-bit pixels stand for, which a table takes to integers; None: it takes reals
    gain : what the network multiplies each channel by, whose weights then have the rest; None: 1
    axes : of the user's tensor, see ``qnn.ir.shape``; None: those of an image or a vector
    """

    name: str
    shape: Shape
    bits: Bits
    signed: bool
    zero_point: int = 0
    pixels: Pixels | None = None
    gain: tuple[float, ...] | None = None
    axes: str | None = None

    inputs = ()
    selects: ClassVar[bool] = False

    def __post_init__(self):
        type_of(self)


@dataclass(frozen=True, kw_only=True)
class ConvPlan:
    """A convolution with its normalisation, skip operand and clamp.

    Members
    -------
    inputs : the operand, and the skip operand if there is one
    weight_shape : (outputs, inputs / groups, kernel height, kernel width)
    weight_bits, terms : the weights' format
    channel_terms : of each output channel, where not all have ``terms``, the greatest of them
    fixed : whether the weights are not learned
    scale : what the weights are multiplied by before they are quantized
    eps : of its BatchNorm; None: it has none
    low, high : of the clamp, in the model's units; None: no bound
    function : of the sum, which a table of 2**index_bits entries gives in place of a clamp
    index_bits : of the table's index; None where there is no function
    rounded : whether the result has ``bits`` bits; else it is the whole sum
    """

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    window: Window
    weight_shape: tuple[Count, Count, Count, Count]
    weight_bits: Annotated[int, Whole(2, 5)]
    terms: TermCount
    bits: Bits
    signed: bool
    bias: bool
    fixed: bool = False
    scale: float = 1.0
    eps: float | None = None
    low: float | None = None
    high: float | None = None
    rounded: bool = True
    channel_terms: tuple[TermCount, ...] | None = None
    zero_point: int = 0
    function: Elementwise | None = None
    index_bits: IndexBits | None = None

    selects: ClassVar[bool] = False

    def __post_init__(self):
        type_of(self)
        _check_function(self, self.rounded)

    @property
    def grid_terms(self) -> Terms:
        """The terms as ``qnn.quant.pow2`` takes them: one number, or one for each channel."""
        return self.terms if self.channel_terms is None else self.channel_terms

    @property
    def mean_terms(self) -> float:
        """The terms of a weight, on average over the output channels."""
        channels = self.channel_terms or (self.terms,)
        return sum(channels) / len(channels)

    @property
    def products(self) -> int:
        """Multiplications per image and term: one for each weight and position."""
        return products_of(self.weight_shape, self.shape)

    @property
    def fraction_bits(self) -> int:
        """Binary places of the weights' integers below 2**e, of channels with fewer terms too."""
        return pow2.fraction_bits(self.weight_bits, self.terms)


@dataclass(frozen=True, kw_only=True)
class MaxPoolPlan:
    """The maximum over each window; padding never wins."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    window: Window

    selects: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class ConcatPlan:
    """Channels one after the other."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape

    selects: ClassVar[bool] = True  # whether all results are values of operands, of one type


@dataclass(frozen=True, kw_only=True)
class MultiplyPlan:
    """The product of two tensors with its clamp.

    Members
    -------
    inputs : a tensor of this shape, and one of it too or of (channels, 1, 1)
    low, high : of the clamp, in the model's units; None: no bound
    function, index_bits : of the product, as those of a convolution
    """

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    bits: Bits
    signed: bool
    low: float | None = None
    high: float | None = None
    function: Elementwise | None = None
    index_bits: IndexBits | None = None
    zero_point: int = 0

    selects: ClassVar[bool] = False

    def __post_init__(self):
        type_of(self)
        _check_function(self, True)


@dataclass(frozen=True, kw_only=True)
class InterleavePlan:
    """Pixels side by side: (y, x) of operand k is ``offsets[k] + (y, x) * step``."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    step: tuple[Count, Count]
    offsets: tuple[tuple[Place, Place], ...]

    selects: ClassVar[bool] = True


LayerPlan = InputPlan | ConvPlan | MultiplyPlan | MaxPoolPlan | ConcatPlan | InterleavePlan
_KINDS = (InputPlan, ConvPlan, MultiplyPlan, MaxPoolPlan, ConcatPlan, InterleavePlan)
KINDS = {kind.__name__: kind for kind in _KINDS}


def type_of(layer: InputPlan | ConvPlan | MultiplyPlan, exponent: int = 0) -> QType:
    """The type of a layer's result, which has all but the exponent from its plan.

    Raises
    ------
    ValueError
        There is no such type, whatever the exponent.
    """
    return QType(layer.bits, layer.signed, exponent, layer.zero_point)


def _check_function(layer, rounded):
    """Refuse a function that stands beside a clamp, or is of other channels than its layer."""
    # A file may say anything, so that what no quantizer makes is looked for here.
    if (layer.function is None) != (layer.index_bits is None):
        raise ValueError("a function and the bits of its index stand together")
    if layer.function is None:
        return
    if not rounded or layer.low is not None or layer.high is not None:
        raise ValueError("a function stands in place of a clamp of a rounded result")
    channels = layer.function.channels
    if channels not in (None, layer.shape[0]):
        raise ValueError(f"a function of {layer.shape[0]} channels has constants of {channels}")
