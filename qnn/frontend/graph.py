"""The float graph: what a frontend reads from a model, and what the fusion passes reduce."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.input import FloatInput
from qnn.frontend.ops.operator import FloatOperator
from qnn.host.program import HostProgram
from qnn.ir.graph import Output


@dataclass(frozen=True, eq=False)
class FloatGraph:
    """A float network in topological order; its inputs come first.

    Members
    -------
    host : what the host computes of the outputs; None: the user gets them as they are
    """

    nodes: tuple[FloatOperator, ...]
    outputs: tuple[Output, ...]
    host: HostProgram | None = None

    def __getitem__(self, name: str) -> FloatOperator:
        return self._by_name[name]

    @cached_property
    def inputs(self) -> tuple[FloatInput, ...]:
        """What the network is run on, in the order in which the user gives it."""
        return tuple(node for node in self.nodes if isinstance(node, FloatInput))

    @cached_property
    def convs(self) -> tuple[FloatConv, ...]:
        """The convolutions, in order."""
        return tuple(node for node in self.nodes if isinstance(node, FloatConv))

    def uses(self, name: str) -> int:
        """How often ``name`` is read, as an output of the network too."""
        return self._uses[name]

    def users(self, name: str) -> tuple[FloatOperator, ...]:
        """Nodes that read ``name``, in order."""
        return self._users.get(name, ())

    def is_output(self, name: str) -> bool:
        """Whether the network gives ``name`` to the user."""
        return name in self._results

    def __str__(self) -> str:
        outputs = ", ".join(output.name for output in self.outputs)
        lines = [*map(str, self.nodes), f"return {outputs}"]
        return "\n".join(lines if self.host is None else [*lines, str(self.host)])

    # Indices, each made once: the passes and the quantizer ask for every node.

    @cached_property
    def _by_name(self):
        return {node.name: node for node in self.nodes}

    @cached_property
    def _results(self):
        return {output.name for output in self.outputs}

    @cached_property
    def _uses(self):
        reads = Counter(name for node in self.nodes for name in node.inputs)
        return reads + Counter(output.name for output in self.outputs)

    @cached_property
    def _users(self):
        users: dict[str, tuple[FloatOperator, ...]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                users[name] = (*users.get(name, ()), node)
        return users


def needed(
    nodes: Iterable[FloatOperator], outputs: tuple[Output, ...]
) -> tuple[FloatOperator, ...]:
    """Those of ``nodes`` that an output is computed from, and the inputs, in their order."""
    nodes, found = list(nodes), {output.name for output in outputs}
    # From the outputs back: every reader comes before what it reads.
    for node in reversed(nodes):
        if node.name in found:
            found.update(node.inputs)
    # What is given stays given, so that inputs keep their number and order.
    return tuple(node for node in nodes if node.name in found or not node.inputs)
