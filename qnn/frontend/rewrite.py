"""Rewriting of a float graph, at a cost that is linear in what changes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.operator import FloatOperator

Kind = TypeVar("Kind", bound=FloatOperator)


class Rewrite:
    """A float graph in change: nodes are exchanged in place, and reads moved to other tensors.

    A pass walks over the nodes of one kind with ``each``, changes what is there, and takes the
    result from ``graph``. Each node has a place, that of the node of ``graph`` which it replaced.
    """

    def __init__(self, graph: FloatGraph):
        self._places: list[tuple[str, ...]] = [(node.name,) for node in graph.nodes]
        self._nodes = {node.name: node for node in graph.nodes}
        self._place = {node.name: place for place, node in enumerate(graph.nodes)}
        self._taken = set(self._nodes)
        self._outputs, self._host = list(graph.outputs), graph.host
        self._readers: dict[str, Counter[str]] = {}
        for node in graph.nodes:
            self._count(node, 1)
        self._results = Counter(output.name for output in graph.outputs)

    def __getitem__(self, name: str) -> FloatOperator:
        return self._nodes[name]

    def __contains__(self, name: str) -> bool:
        return name in self._nodes

    def fresh(self, name: str) -> str:
        """``name``, with a number behind it if a node has or had it; no later call gives it too."""
        found, count = name, 0
        while found in self._taken:
            count += 1
            found = f"{name}_{count}"
        self._taken.add(found)
        return found

    def each(self, *kinds: type[Kind]) -> Iterator[Kind]:
        """The nodes of some classes in order, as they are when it is their turn."""
        # A copy: the pass may change the places while it walks.
        for names in list(self._places):
            for name in names:
                node = self._nodes.get(name)
                if isinstance(node, kinds):
                    yield node

    def place(self, name: str) -> int:
        """A number that grows along the graph's order."""
        return self._place[name]

    def uses(self, name: str) -> int:
        """How often ``name`` is read, as an output of the network too."""
        # A node that reads a tensor twice counts twice, unlike in ``users``.
        return self._readers.get(name, Counter()).total() + self._results[name]

    def is_output(self, name: str) -> bool:
        """Whether the network gives ``name`` to the user."""
        return self._results[name] > 0

    def users(self, name: str) -> tuple[FloatOperator, ...]:
        """Nodes that read ``name``, in order."""
        return tuple(self._nodes[n] for n in sorted(self._readers.get(name, ()), key=self.place))

    def exchange(self, name: str, *nodes: FloatOperator) -> None:
        """Put ``nodes`` at the place of the node ``name``, or nothing."""
        place = self._place.pop(name)
        self._count(self._nodes.pop(name), -1)
        names = self._places[place]
        at = names.index(name)
        self._places[place] = (*names[:at], *(n.name for n in nodes), *names[at + 1 :])
        for node in nodes:
            self._nodes[node.name] = node
            self._place[node.name] = place
            self._count(node, 1)

    def redirect(self, name: str, other: str) -> None:
        """Let everything that reads ``name``, the network's outputs too, read ``other``."""
        # Only readers change, so that the cost is that of the reads and not of the graph.
        for user in self.users(name):
            inputs = tuple(other if n == name else n for n in user.inputs)
            self.exchange(user.name, replace(user, inputs=inputs))
        if self._results[name]:
            outputs = self._outputs
            self._outputs = [replace(o, name=other) if o.name == name else o for o in outputs]
            self._results[other] += self._results.pop(name)

    def graph(self) -> FloatGraph:
        """The graph as it is now."""
        nodes = (self._nodes[name] for names in self._places for name in names)
        return FloatGraph(tuple(nodes), tuple(self._outputs), self._host)

    def _count(self, node, change):
        for name in node.inputs:
            readers = self._readers.setdefault(name, Counter())
            readers[node.name] += change
            # Counters keep zeros, which would be listed as readers.
            if not readers[node.name]:
                del readers[node.name]
