"""The integer graph: immutable, in topological order; every number in it is an integer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, count

from qnn.ir.ops import Conv, Input, Multiply, Operator
from qnn.ir.shape import ends, joined, joined_shape, label_of


@dataclass(frozen=True)
class Output:
    """A result of the network: the tensor, and its shape in the user's model (no batch).

    What the host computes of it follows: the shape of an argmax's output is that of the scores.

    Members
    -------
    axes : what the shape's sizes are, see ``qnn.ir.shape``; None: any sizes, whose values are those
        of the tensor in its own order (channels, height, width)
    """

    name: str
    shape: tuple[int, ...]
    axes: str | None = None


def results_of(outputs: Sequence[Output]) -> tuple[Output, ...]:
    """The tensors that the user gets, with their names in the user's model.

    What has none has the operator's, and several outputs that are one that of the first.
    """
    axes = [output.axes for output in outputs]
    shapes = joined([output.shape for output in outputs], axes, joined_shape)
    firsts = joined(outputs, axes, lambda parts, _: parts[0])
    names = [label_of(last) or first.name for first, last in zip(firsts, ends(axes), strict=True)]
    return tuple(map(Output, names, shapes))


def array_names(outputs: Sequence[Output]) -> tuple[str, ...]:
    """A name for the array of each output: the user's, or the operator's; no two are the same."""
    axes, names = [output.axes for output in outputs], []
    alone = [(output,) for output in outputs]
    for parts in joined(alone, axes, lambda parts, _: tuple(chain(*parts))):
        # What has several parts has the user's name as a whole alone.
        label = label_of(parts[-1].axes) if len(parts) == 1 else None
        names += [label or part.name for part in parts]
    # One operator may be several outputs, in other shapes.
    found: dict[str, None] = {}
    for name in names:
        free = (f"{name}.{number}" for number in count(2))
        found[name if name not in found else next(n for n in free if n not in found)] = None
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Graph:
    """A network. Its first nodes are its inputs, in the order in which the user gives them."""

    nodes: tuple[Operator, ...]
    outputs: tuple[Output, ...]
    _by_name: dict = field(init=False, repr=False)

    def __post_init__(self):
        # Names are looked up in every pass, so the index is made once; the graph is frozen.
        object.__setattr__(self, "_by_name", {node.name: node for node in self.nodes})

    @cached_property
    def _readers(self) -> dict[str, tuple[Operator, ...]]:
        found: dict[str, list[Operator]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    def __getitem__(self, name: str) -> Operator:
        return self._by_name[name]

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The network's inputs, in the order in which the user gives them."""
        return tuple(node for node in self.nodes if isinstance(node, Input))

    @property
    def convs(self) -> tuple[Conv, ...]:
        """The convolutions, which alone have weights."""
        return tuple(node for node in self.nodes if isinstance(node, Conv))

    @property
    def products(self) -> tuple[Multiply, ...]:
        """The products of two tensors."""
        return tuple(node for node in self.nodes if isinstance(node, Multiply))

    def sources(self, node: Operator) -> tuple[Operator, ...]:
        """The nodes that compute the operands of ``node``, in the order of its inputs."""
        return tuple(self._by_name[name] for name in node.inputs)

    def users(self, name: str) -> tuple[Operator, ...]:
        """Nodes that read ``name``, in order."""
        return self._readers.get(name, ())

    def __repr__(self) -> str:
        # In one line: its arrays would fill the screen; str has every node.
        return (
            f"<Graph: {_counted(self.inputs, 'input')}, {_counted(self.convs, 'convolution')}, "
            f"{_counted(self.nodes, 'node')}, "
            f"output{'s' * (len(self.outputs) != 1)} {', '.join(map(_shown, self.outputs))}>"
        )

    def __str__(self) -> str:
        from qnn.ir.text import text

        return text(self)


def _counted(things, word):
    return f"{len(things)} {word}{'s' * (len(things) != 1)}"


def _shown(output):
    return f"'{output.name}' {output.shape}"
