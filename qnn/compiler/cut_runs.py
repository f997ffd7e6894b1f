"""Where two neighbouring runs may be cut otherwise: layers that move from one to the other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qnn.compiler.join_runs import few_enough, joins
from qnn.compiler.network import MappedNetwork
from qnn.ir.ops import Operator

Nodes = tuple[Operator, ...]


@dataclass(frozen=True)
class Cut:
    """Two runs in place of two others; ``spilled`` roots lie in memory then."""

    runs: tuple[Nodes, Nodes]
    spilled: frozenset[str]


def cuts(
    network: MappedNetwork,
    groups: Mapping[str, Nodes],
    runs: tuple[Nodes, Nodes],
    spilled: frozenset[str],
) -> Iterator[Cut]:
    """The other cuts of two runs, each with what crosses it on chip, and in memory.

    Parameters
    ----------
    groups : by a node's name, the nodes that a run has all of
    """
    parts = _parts(groups, runs)
    if parts is None:
        return
    before = len(_parts(groups, runs[:1]))
    for number in range(1, len(parts)):
        two = parts[:number], parts[number:]
        if number == before or not all(_is_run(network, each) for each in two):
            continue
        first, second = (sum(each, ()) for each in two)
        inner = {node.name for node in (*first[:-1], *second[:-1])}
        crossing = network.place[first[-1].name].root
        for more in (frozenset(), frozenset({crossing})):
            yield Cut((first, second), (spilled - inner - {crossing}) | more)


def words_during(
    network: MappedNetwork, cut: Cut, number: int, alive: Mapping[str, tuple[int, int]]
) -> tuple[int, int]:
    """Words that roots which stay on chip take during each of the two runs.

    Parameters
    ----------
    number : of the first of the two runs
    alive : first and last run of each root that stayed during one of them, before the cut moved
    """
    first, second = (network.roots(nodes) for nodes in cut.runs)
    inner = {node.name for nodes in cut.runs for node in nodes[:-1]}
    words = [0, 0]
    for root in (alive.keys() | first | second) - inner - cut.spilled:
        born, dies = alive.get(root, (number, number))
        # Whether it is needed before these runs, in each of them, and after both.
        uses = born < number, root in first, root in second, dies > number + 1
        if any(uses[:2]) and any(uses[1:]):
            words[0] += network.root_words(root)
        if any(uses[:3]) and any(uses[2:]):
            words[1] += network.root_words(root)
    return words[0], words[1]


def _parts(groups, runs):
    """The groups that make up some runs, in order; None where one joins what others computed."""
    parts = []
    for node in sum(runs, ()):
        if node.name not in groups:
            return None
        if not parts or node not in parts[-1]:
            parts.append(groups[node.name])
    return parts


def _is_run(network, parts):
    """Whether groups may be one run: of each but the last, only those behind it read results."""
    nodes = sum(parts, ())
    before = [sum(parts[:n], ()) for n in range(1, len(parts))]
    return few_enough(nodes) and all(joins(network, some, nodes[len(some) :]) for some in before)
