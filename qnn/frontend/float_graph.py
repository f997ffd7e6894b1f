"""The float graph: what capture reads from a model, and what the fusion passes reduce.

Shapes are ``(channels, height, width)`` of one image; vectors have height and width 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from torch import Tensor

from qnn.ir.graph import Output
from qnn.ir.shape import Shape
from qnn.ir.window import Padding, Pair

NO_PADDING = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Node:
    """One tensor: its name, the names of what it is computed from, and its shape."""

    name: str
    inputs: tuple[str, ...] = ()
    shape: Shape

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"{self.name} = {type(self).__name__.lower()}({', '.join(self.inputs)}) {shape}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Input(Node):
    """The image."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """BatchNorm in evaluation: ``(x - mean) / sqrt(var + eps) * gamma + beta``, per channel."""

    gamma: Tensor
    beta: Tensor
    mean: Tensor
    var: Tensor
    eps: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv(Node):
    """``clamp(batchnorm(conv(x, weight * scale) + bias) + skip, low, high)``; padding is zeros.

    ``weight`` has the shape (outputs, inputs / groups, kernel height, kernel width). The second
    input, if there is one, is the skip operand. ``fixed`` weights are not learned: they select,
    sum or average. ``requantize`` asks for a type of its own where the values are only copied.
    """

    weight: Tensor
    bias: Tensor | None = None
    batchnorm: Statistics | None = None
    scale: float = 1.0
    stride: Pair = (1, 1)
    padding: Padding = NO_PADDING
    dilation: Pair = (1, 1)
    groups: int = 1
    low: float | None = None
    high: float | None = None
    fixed: bool = False
    requantize: bool = False

    @property
    def skip(self) -> str | None:
        """Name of the operand that is added after the sum."""
        return self.inputs[1] if len(self.inputs) == 2 else None

    @property
    def clamped(self) -> bool:
        """Whether an activation was fused in."""
        return self.low is not None or self.high is not None

    @property
    def copies(self) -> bool:
        """Whether every result is one operand or zero, so that nothing needs rounding."""
        plain = self.fixed and self.weight.shape[2:] == (1, 1) and not self.clamped
        if not plain or len(self.inputs) == 2 or self.batchnorm is not None:
            return False
        ones = (self.weight == 1).sum((1, 2, 3))
        return bool(((self.weight == 0) | (self.weight == 1)).all() and (ones <= 1).all())

    def __str__(self) -> str:
        kernel = "x".join(map(str, self.weight.shape[2:]))
        defaults = {f.name: f.default for f in fields(Conv)}
        shown = [
            f"{name}={getattr(self, name)}"
            for name in ("scale", "stride", "padding", "dilation", "groups", "low", "high")
            if getattr(self, name) != defaults[name]
        ]
        shown += ["batchnorm"] if self.batchnorm else []
        return " ".join([super().__str__(), kernel, *(text.replace(" ", "") for text in shown)])


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchNorm(Node):
    """A normalisation that no convolution has taken in yet."""

    statistics: Statistics


@dataclass(frozen=True, eq=False, kw_only=True)
class Clamp(Node):
    """ReLU (``low`` 0), ReLU6, Hardtanh, clamp."""

    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxPool(Node):
    """The maximum over each window; padding never wins."""

    kernel: Pair
    stride: Pair
    padding: Padding = NO_PADDING
    dilation: Pair = (1, 1)


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragePool(Node):
    """The sum over each window, padding with zeros, over ``divisor``."""

    kernel: Pair
    stride: Pair
    padding: Padding
    divisor: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Node):
    """Channels one after the other."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(Node):
    """The sum of two tensors of one shape."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad(Node):
    """Zeros around the image, and ``channels`` zero channels before and behind."""

    padding: Padding
    channels: Pair = (0, 0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Slice(Node):
    """Every ``stride``-th row and column, from the first."""

    stride: Pair


@dataclass(frozen=True, eq=False, kw_only=True)
class Flatten(Node):
    """The image as a vector."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A float network in topological order; the first node is its one ``Input``."""

    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    _by_name: dict = field(init=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "_by_name", {node.name: node for node in self.nodes})

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    def uses(self, name: str) -> int:
        """How often ``name`` is read, as an output of the network too."""
        reads = sum(node.inputs.count(name) for node in self.nodes)
        return reads + sum(output.name == name for output in self.outputs)

    def users(self, name: str) -> tuple[Node, ...]:
        """Nodes that read ``name``, in order."""
        return tuple(node for node in self.nodes if name in node.inputs)

    def is_output(self, name: str) -> bool:
        """Whether the network gives ``name`` to the user."""
        return any(output.name == name for output in self.outputs)

    def rebuilt(
        self, replaced: Mapping[str, tuple[Node, ...]], renamed: Mapping[str, str] | None = None
    ) -> "Graph":
        """The graph with some nodes exchanged for others (or none), and reads of names moved."""
        renamed = renamed or {}

        def final(name):
            while name in renamed:
                name = renamed[name]
            return name

        nodes = [new for old in self.nodes for new in replaced.get(old.name, (old,))]
        moved = tuple(replace(n, inputs=tuple(map(final, n.inputs))) for n in nodes)
        return Graph(moved, tuple(Output(final(o.name), o.shape) for o in self.outputs))

    def __str__(self) -> str:
        outputs = ", ".join(output.name for output in self.outputs)
        return "\n".join([*map(str, self.nodes), f"return {outputs}"])
