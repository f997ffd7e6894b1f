"""The integer graph: immutable, in topological order; every number in it is an integer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from qnn.fields import FieldsError
from qnn.host.program import HostProgram
from qnn.host.results import array_names, labels_of
from qnn.ir.ops import Conv, Input, Multiply, Operator
from qnn.ir.shape import joined, joined_shape


@dataclass(frozen=True)
class Output:
    """A result of the network: the tensor, and its shape in the user's model (no batch).

    Members
    -------
    axes : what the shape's sizes are, see ``qnn.ir.shape``; None: any sizes, whose values are those
        of the tensor in its own order (channels, height, width)
    """

    name: str
    shape: tuple[int, ...]
    axes: str | None = None


def network_tensors(outputs: Sequence[Output]) -> tuple[Output, ...]:
    """The tensors that the network gives: outputs that are one have the name of the first."""
    axes = [output.axes for output in outputs]
    shapes = joined([output.shape for output in outputs], axes, joined_shape)
    firsts = joined(outputs, axes, lambda parts, _: parts[0])
    return tuple(Output(first.name, shape) for first, shape in zip(firsts, shapes, strict=True))


def host_in(text: str | None, outputs: Sequence[Output]) -> HostProgram | None:
    """The host program of a file, which few have, for a network that gives ``outputs``.

    Raises
    ------
    FieldsError
        The text is not one of such a program.
    """
    try:
        return None if text is None else HostProgram.parse(text, len(network_tensors(outputs)))
    except ValueError as error:
        raise FieldsError("steps of the host", str(error)) from None


def results_of(outputs: Sequence[Output], host: HostProgram | None) -> tuple[Output, ...]:
    """The scores of what the user gets, as ``HostProgram.scores`` has them, each with its name.

    What has no name in the user's model has that of the tensor.
    """
    tensors = network_tensors(outputs)
    if host is None:
        return tensors
    names = host.names([each.name for each in tensors])
    shapes = host.shapes([each.shape for each in tensors])
    each = zip(names, host.scores, strict=True)
    return tuple(Output(name, shapes[number][1:]) for name, number in each)


@dataclass(frozen=True, eq=False)
class Graph:
    """A network. Its first nodes are its inputs, in the order in which the user gives them.

    Members
    -------
    host : what the host computes of the outputs; None: the user gets them as they are
    """

    nodes: tuple[Operator, ...]
    outputs: tuple[Output, ...]
    host: HostProgram | None = None
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

    @property
    def output_names(self) -> tuple[str, ...]:
        """A name of its own for the array of each output, see ``array_names``."""
        outputs = self.outputs
        return array_names([o.name for o in outputs], [o.axes for o in outputs], self.host)

    @property
    def output_labels(self) -> Mapping[str, tuple[str, ...]]:
        """What each output's operator gives of the user's results, see ``labels_of``."""
        outputs = self.outputs
        return labels_of([o.name for o in outputs], [o.axes for o in outputs], self.host)

    def sources(self, node: Operator) -> tuple[Operator, ...]:
        """The nodes that compute the operands of ``node``, in the order of its inputs."""
        return tuple(self._by_name[name] for name in node.inputs)

    def users(self, name: str) -> tuple[Operator, ...]:
        """Nodes that read ``name``, in order."""
        return self._readers.get(name, ())

    def __eq__(self, other: object) -> bool:
        """Whether every number of the two is the same, as in their files."""
        if not isinstance(other, Graph):
            return NotImplemented
        from qnn.ir.serialize import to_bytes

        return self is other or to_bytes(self) == to_bytes(other)

    def __hash__(self) -> int:
        # Of what is short; arrays alone seldom tell graphs apart.
        return hash((tuple(self._by_name), self.outputs))

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
