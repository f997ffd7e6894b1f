"""The integer graph: immutable, in topological order; every number in it is an integer.

Shapes are ``(channels, height, width)`` of one image; vectors have height and width 1.
"""

from dataclasses import dataclass, field

import numpy as np

from qnn.quant.qtype import QType

Shape = tuple[int, int, int]
Pair = tuple[int, int]  # (vertical, horizontal)
Padding = tuple[int, int, int, int]  # top, bottom, left, right


@dataclass(frozen=True, eq=False, kw_only=True)
class Input:
    """The image. ``table`` maps an 8-bit pixel to its integer, per channel: (channels, 256)."""

    name: str
    shape: Shape
    type: QType
    table: np.ndarray | None = None  # None: the user gives reals, rounded to ``type``

    inputs = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv:
    """A convolution and its epilogue, all in shifts and adds.

    With ``w = sign(m) * 2**(abs(m) - 1)`` (0 for m = 0), summed over terms, and zeros for padding:
    ``v = (sum(a * w) << left) + bias + (skip << skip_left)``; rounded, the result is
    ``clamp((v + half) >> right, low, high)`` with ``half = 2**(right - 1)`` or 0; unrounded it is
    ``v``. ``left``, ``bias``, ``skip_left`` and ``right`` hold one entry per output channel.

    ``codes`` has the shape (terms, outputs, inputs / groups, kernel height, kernel width) and
    holds signed indices m from -K to K, K = 2**(weight_bits - 1) - 1.
    """

    name: str
    input: str
    shape: Shape
    type: QType  # of the result; unrounded: the epilogue's bits, the common exponent
    codes: np.ndarray  # int8
    weight_bits: int
    left: np.ndarray  # int64, (outputs,)
    bias: np.ndarray
    right: np.ndarray
    skip_left: np.ndarray | None = None
    skip: str | None = None
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    rounded: bool = True
    low: int = 0  # clamp, in the integers of ``type``; ignored if unrounded
    high: int = 0

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the operands."""
        return (self.input,) if self.skip is None else (self.input, self.skip)

    @property
    def kernel(self) -> Pair:
        """Height and width of the kernel."""
        return self.codes.shape[-2], self.codes.shape[-1]

    @property
    def depthwise(self) -> bool:
        """Whether each channel is computed from the one of the same number."""
        return self.codes.shape[2] == 1 and self.groups == self.shape[0]

    def inputs_of(self, channel: int) -> range:
        """The operand's channels that an output channel is computed from: those of its group."""
        inputs = self.codes.shape[2]
        group = channel // (self.shape[0] // self.groups)
        return range(group * inputs, (group + 1) * inputs)


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxPool:
    """The maximum over each window; padding never wins."""

    name: str
    input: str
    shape: Shape
    type: QType
    kernel: Pair
    stride: Pair
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the operands."""
        return (self.input,)


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat:
    """Channels one after the other; all operands have this ``type``."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    type: QType


Node = Input | Conv | MaxPool | Concat


@dataclass(frozen=True)
class Output:
    """A result of the network: the tensor, and its shape in the user's model (no batch)."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """A network. The first node is its one ``Input``."""

    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    _by_name: dict = field(init=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "_by_name", {node.name: node for node in self.nodes})

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    @property
    def input(self) -> Input:
        """The network's input."""
        return self.nodes[0]

    def users(self, name: str) -> tuple[Node, ...]:
        """Nodes that read ``name``, in order."""
        return tuple(node for node in self.nodes if name in node.inputs)

    def __str__(self) -> str:
        from qnn.ir.text import text

        return text(self)
