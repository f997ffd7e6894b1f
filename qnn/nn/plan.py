"""What is fixed about each layer of a quantized network: everything but its numbers.

Shapes are ``(channels, height, width)`` of one image; paddings are top, bottom, left, right.
"""

from dataclasses import asdict, dataclass

RESULT_BITS = 32  # of what calibration makes room for: a sum with bias and skip, also unrounded


@dataclass(frozen=True, kw_only=True)
class InputPlan:
    """The image, in integers of ``bits`` bits."""

    name: str
    shape: tuple[int, int, int]
    bits: int
    signed: bool
    pixels: bool  # whether a table takes 8-bit pixels to integers

    inputs = ()


@dataclass(frozen=True, kw_only=True)
class ConvPlan:
    """A convolution with its normalisation, skip operand and clamp.

    Members
    -------
    inputs : the operand, and the skip operand if there is one
    weight_shape : (outputs, inputs / groups, kernel height, kernel width)
    weight_bits, terms : the weights' format
    fixed : whether the weights are not learned
    scale : what the weights are multiplied by before they are quantized
    eps : of its BatchNorm; None: it has none
    low, high : of the clamp, in the model's units; None: no bound
    rounded : whether the result has ``bits`` bits; else it is the whole sum
    """

    name: str
    inputs: tuple[str, ...]
    shape: tuple[int, int, int]
    weight_shape: tuple[int, int, int, int]
    weight_bits: int
    terms: int
    bits: int
    signed: bool
    bias: bool
    fixed: bool = False
    scale: float = 1.0
    eps: float | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    low: float | None = None
    high: float | None = None
    rounded: bool = True


@dataclass(frozen=True, kw_only=True)
class MaxPoolPlan:
    """The maximum over each window; padding never wins."""

    name: str
    inputs: tuple[str, ...]
    shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class ConcatPlan:
    """Channels one after the other."""

    name: str
    inputs: tuple[str, ...]
    shape: tuple[int, int, int]


LayerPlan = InputPlan | ConvPlan | MaxPoolPlan | ConcatPlan
KINDS = {kind.__name__: kind for kind in (InputPlan, ConvPlan, MaxPoolPlan, ConcatPlan)}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A quantized network without its numbers.

    Members
    -------
    layers : in topological order, the input first
    outputs : names of the results, and their shapes in the user's model without the batch
    weight_bits, terms : the greatest of the layers'
    mean, std : of the pixels, per channel: the model takes ``(pixel / 255 - mean) / std``
    """

    layers: tuple[LayerPlan, ...]
    outputs: tuple[tuple[str, tuple[int, ...]], ...]
    weight_bits: int
    activation_bits: int
    terms: int
    rounding: str
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        layers = [{"kind": type(layer).__name__, **asdict(layer)} for layer in self.layers]
        return {**asdict(self), "layers": layers}

    @staticmethod
    def from_fields(fields: dict) -> "Plan":
        """What ``to_fields`` gave, after JSON."""
        fields = {name: _frozen(value) for name, value in fields.items() if name != "layers"} | {
            "layers": tuple(_layer(dict(layer)) for layer in fields["layers"])
        }
        return Plan(**fields)


def _layer(fields):
    kind = KINDS[fields.pop("kind")]
    return kind(**{name: _frozen(value) for name, value in fields.items()})


def _frozen(value):
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
