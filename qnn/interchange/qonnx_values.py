"""What the nodes of a QONNX file give, while they are read: constants, and parts of operators."""

from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from qnn.errors import ModelError
from qnn.ir.ops import Operator
from qnn.ir.shape import Shape
from qnn.ir.window import Padding, Window
from qnn.quant.qtype import QType


@dataclass(frozen=True)
class MadeAt:
    """Where a value was made: the number of its node, which orders operators, and its name."""

    number: int
    name: str


@dataclass(frozen=True, eq=False)
class GivenInput:
    """An input of the model before its quantizer; ``offset`` was added to it."""

    name: str
    shape: tuple[int, ...]
    offset: float = 0.0


@dataclass(frozen=True, eq=False)
class CodedWeights:
    """Weights as sums of codes.

    Members
    -------
    codes : (terms, outputs, ...) int8, as of ``Conv``
    exponents : (outputs,) of the last term's least magnitude
    """

    codes: np.ndarray
    weight_bits: int
    exponents: np.ndarray


@dataclass(frozen=True, eq=False)
class Settled:
    """A tensor of the integer graph."""

    node: Operator


@dataclass(frozen=True, eq=False)
class Line:
    """A sum that no quantizer has rounded yet, in reals.

    Members
    -------
    operands : one, of a convolution, or two, of a product
    unit : (channels,) exponents of the sums of products
    bias : (channels,) float64
    skip : the operand that is added, and exponents of its steps, (channels,)
    bounds : reals that it is clamped to
    """

    # The last node that changed it, as that is whose name the operator gets.
    place: MadeAt
    operands: tuple[Operator, ...]
    shape: Shape
    unit: np.ndarray
    bias: np.ndarray
    window: Window | None = None
    weights: CodedWeights | None = None
    skip: tuple[Operator, np.ndarray] | None = None
    bounds: tuple[float, float] = (-np.inf, np.inf)


@dataclass(frozen=True, eq=False)
class RoundedLine:
    """A line behind its quantizer; it becomes an operator where somebody reads it as a tensor.

    Members
    -------
    index : the type of the table's index, where there is a table: reals of ``type``
    """

    place: MadeAt
    line: Line
    type: QType
    rounding: str = "FLOOR"
    index: QType | None = None
    table: np.ndarray | None = None
    start: int = 0  # the index of the table's first entry


@dataclass(frozen=True, eq=False)
class Shifted:
    """A tensor, or an index, times powers of two: ``2**places``, of all channels or of each."""

    value: Settled | RoundedLine
    places: np.ndarray


@dataclass(frozen=True, eq=False)
class TableIndex:
    """Numbers that look up a table: the index, and what was added to it for each channel."""

    rounded: RoundedLine
    first: np.ndarray


@dataclass(frozen=True, eq=False)
class LookedUp:
    """Reals out of a table, (tables, entries), before the quantizer that says their type."""

    rounded: RoundedLine
    table: np.ndarray


@dataclass(frozen=True, eq=False)
class Padded:
    """A tensor with ``value`` around it."""

    node: Operator
    padding: Padding
    value: float


@dataclass(frozen=True, eq=False)
class LaidOut:
    """A tensor, or a line, in another shape; ``moved`` if its axes have changed places."""

    value: Settled | Line
    shape: tuple[int, ...]
    moved: bool = False


@dataclass(frozen=True, eq=False)
class PixelList:
    """PixelList of several tensors behind each other, and then by ``places``."""

    nodes: tuple[Operator, ...]
    places: np.ndarray | None = field(default=None)


def by_channel(place: MadeAt, values: np.ndarray, shape: Shape) -> np.ndarray:
    """``values`` that a node spreads over a tensor of ``shape``: one, or one for each channel.

    Raises
    ------
    ModelError
        They are of other axes, as NumPy broadcasts.
    """
    channels, *space = shape
    # A linear layer's results have no axes of space.
    wanted = [(channels, 1, 1)] + ([(channels,)] if space == [1, 1] else [])
    sizes = np.shape(values)
    while sizes[:1] == (1,) and sizes not in wanted:
        sizes = sizes[1:]
    if np.size(values) != 1 and sizes not in wanted:
        needs = f"one number, or one for each of {channels} channels"
        refuse(place, needs, f"shape {np.shape(values)}", "give it with axes of 1 behind channels")
    return np.ravel(values)


def refuse(place: MadeAt, needs: str, got: object, do: str) -> NoReturn:
    """Raise a ModelError that says what a node of the file needs, what it got and what to do."""
    raise ModelError(f"QONNX node '{place.name}' needs {needs}, but got {got}; {do}")
