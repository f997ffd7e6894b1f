"""What is fixed about each layer of a quantized network: everything but its numbers.

The file is longer than others because all kinds of layers of a model's file are checked in it.
Shapes are ``(channels, height, width)`` of one image.
"""

from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Annotated, ClassVar

from qnn.fields import Count, FieldsError, Place, Whole, typed, typed_fields
from qnn.functions.elementwise import Elementwise
from qnn.functions.table import INDEX_BITS
from qnn.ir.window import Window
from qnn.nn.preprocess import Pixels, one_or_all, pixels_of
from qnn.quant import pow2
from qnn.quant.by_terms import Terms

Shape = tuple[Count, Count, Count]
Bits = Annotated[int, Whole(2, 48)]  # of a tensor's integers
IndexBits = Annotated[int, Whole(2, INDEX_BITS)]  # of a table's index
TermCount = Annotated[int, Whole(1, 7)]  # an instruction counts them in 3 bits
RESULT_BITS = 32  # of what calibration makes room for: a sum with bias and skip, also unrounded


@dataclass(frozen=True, kw_only=True)
class InputPlan:
    """An image or a vector that the user gives, in integers of ``bits`` bits.

    Members
    -------
    pixels : what 8-bit pixels stand for, which a table takes to integers; None: it takes reals
    axes : of the user's tensor, see ``qnn.ir.shape``; None: those of an image or a vector
    """

    name: str
    shape: Shape
    bits: Bits
    signed: bool
    pixels: Pixels | None = None
    axes: str | None = None

    inputs = ()
    selects: ClassVar[bool] = False


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
    function: Elementwise | None = None
    index_bits: IndexBits | None = None

    selects: ClassVar[bool] = False

    def __post_init__(self):
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
        return prod(self.weight_shape) * prod(self.shape[1:])

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

    selects: ClassVar[bool] = False

    def __post_init__(self):
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


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A quantized network without its numbers.

    Members
    -------
    layers : in topological order, the inputs first
    outputs : names of the results, and their shapes in the user's model without the batch
    output_axes : of the results, as ``qnn.ir.shape`` has them; empty: each in its own order
    weight_bits, terms : the greatest of the layers'
    """

    layers: tuple[LayerPlan, ...]
    outputs: tuple[tuple[str, tuple[Count, ...]], ...]
    weight_bits: int
    activation_bits: int
    terms: int
    rounding: str
    output_axes: tuple[str | None, ...] = ()

    @property
    def results(self) -> tuple[tuple[str, tuple[int, ...], str | None], ...]:
        """Name, shape and axes of each output."""
        axes = self.output_axes or (None,) * len(self.outputs)
        return tuple((*output, each) for output, each in zip(self.outputs, axes, strict=True))

    @property
    def network_inputs(self) -> tuple[InputPlan, ...]:
        """What the network is run on, in the order in which the user gives it."""
        return tuple(layer for layer in self.layers if not layer.inputs)

    @property
    def convs(self) -> tuple[ConvPlan, ...]:
        """The convolutions."""
        return tuple(layer for layer in self.layers if isinstance(layer, ConvPlan))

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        pixels = [layer.pixels for layer in self.network_inputs]
        return {
            **asdict(self),
            "layers": [_layer_fields(layer) for layer in self.layers],
            "mean": one_or_all([each and each.mean for each in pixels]),
            "std": one_or_all([each and each.std for each in pixels]),
        }

    @staticmethod
    def from_fields(fields: dict) -> "Plan":
        """The plan whose ``to_fields`` gave ``fields``, after JSON.

        Raises
        ------
        FieldsError
            They are no plan's, or name an operand that no earlier layer computes.
        """
        found = typed_fields(_FILE_FIELDS, fields)
        if found["output_axes"] and len(found["output_axes"]) != len(found["outputs"]):
            raise FieldsError("axes of each output, or none", "of others")
        layers = [_layer(number, dict(layer)) for number, layer in enumerate(found["layers"])]
        _check_names(layers, found["outputs"])
        layers = _with_pixels(layers, found.pop("mean"), found.pop("std"))
        return Plan(**found | {"layers": layers})


# A file has a layer's window as fields of the layer, a kernel only where no weight says it, and
# the mean and std of an only input's pixels as they are; of several inputs, one entry for each.


def _layer_fields(layer):
    fields = {"kind": type(layer).__name__, **asdict(layer)}
    if isinstance(layer, InputPlan):
        return fields | {"pixels": layer.pixels is not None}
    if fields.get("function", 0) is None:
        # Left out where there is none, so that files of networks without tables stay as they were.
        del fields["function"], fields["index_bits"]
    if "window" in fields:
        fields |= fields.pop("window")
        del fields["groups" if isinstance(layer, MaxPoolPlan) else "kernel"]
    return fields


def _layer(number, fields):
    kind = KINDS.get(str(fields.pop("kind", None)))
    try:
        if kind is None:
            raise FieldsError(f"a kind of {', '.join(KINDS)}", "another")
        if kind is InputPlan:
            fields["pixels"] = None
        if kind in (ConvPlan, MaxPoolPlan):
            parts = ("kernel", "stride", "padding", "dilation", "groups")
            window = {part: fields.pop(part) for part in parts if part in fields}
            window.setdefault("kernel", _kernel(fields.get("weight_shape")))
            fields["window"] = window
        return typed(kind, fields)
    except FieldsError as error:
        raise error.inside(number).inside("layers") from None


def _kernel(weight_shape):
    # Of another shape than weights have, this is no kernel either, and is refused as none.
    return weight_shape[2:] if isinstance(weight_shape, list | tuple) else None


def _check_function(layer, rounded):
    """Refuse a function that stands beside a clamp, or is of other channels than its layer."""
    if (layer.function is None) != (layer.index_bits is None):
        raise ValueError("a function and the bits of its index stand together")
    if layer.function is None:
        return
    if not rounded or layer.low is not None or layer.high is not None:
        raise ValueError("a function stands in place of a clamp of a rounded result")
    channels = layer.function.channels
    if channels not in (None, layer.shape[0]):
        raise ValueError(f"a function of {layer.shape[0]} channels has constants of {channels}")


def _check_names(layers, outputs):
    """Refuse operands that are not computed before, as the network is built in this order."""
    known = {None: False}  # names to whether the tensor may be read
    for layer in layers:
        readable = [known.get(name, False) for name in layer.inputs]
        counts = {InputPlan: (0,), ConvPlan: (1, 2), MultiplyPlan: (2,), MaxPoolPlan: (1,)}
        counts = counts.get(type(layer))
        right = len(readable) in counts if counts else len(readable) > 0
        if not right or not all(readable) or layer.name in known:
            wrong = ", ".join(layer.inputs) or "none"
            raise FieldsError(f"a name of its own and earlier operands in '{layer.name}'", wrong)
        known[layer.name] = getattr(layer, "rounded", True)
    for name, _ in outputs:
        if name not in known:
            raise FieldsError("layers for its outputs", f"none for '{name}'")
    if not outputs or all(layer.inputs for layer in layers):
        raise FieldsError("an input and an output", "none")


def _with_pixels(layers, mean, std):
    """The layers, with what the pixels of each input stand for."""
    inputs = [layer for layer in layers if not layer.inputs]
    means, stds = (mean, std) if len(inputs) > 1 else ((mean,), (std,))
    each = tuple[tuple[float, ...] | None, ...]
    means, stds = typed(each, means), typed(each, stds)
    if not len(inputs) == len(means) == len(stds):
        raise FieldsError(f"mean and std of {len(inputs)} inputs", f"of {len(means)}")
    pixels = {
        layer.name: pixels_of(layer.name, layer.shape[0], m, s)
        for layer, m, s in zip(inputs, means, stds, strict=True)
    }
    return tuple(
        replace(layer, pixels=pixels[layer.name]) if layer.name in pixels else layer
        for layer in layers
    )


_FILE_FIELDS = {
    "layers": list[dict],
    "outputs": tuple[tuple[str, tuple[Count, ...]], ...],
    "weight_bits": int,
    "activation_bits": int,
    "terms": int,
    "rounding": str,
    "output_axes": tuple[str | None, ...],
    # Of an only input one entry a channel, of several inputs a list of such, null for no pixels.
    "mean": object,
    "std": object,
}
