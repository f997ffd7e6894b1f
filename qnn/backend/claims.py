"""What an artifact says of its tensors to drivers and tools, and what the network says of them."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from qnn.ir.graph import Graph
from qnn.ir.ops.operator import Operator
from qnn.quant.qtype import QType

TABLE = "pixel table"  # the fact that is compared value by value
TYPE_FACTS = ("bits", "signed", "exponent", "zero_point")
HOST = "host program"


@dataclass(frozen=True)
class Claim:
    """Facts of one tensor, by name.

    Members
    -------
    kind : ``input``, ``output`` or ``layer``: who is told
    name : of the tensor's node
    """

    kind: str
    name: str
    facts: Mapping[str, object]


@dataclass(frozen=True)
class AtLeast:
    """A number that an artifact may exceed: sums that are not rounded fill what holds them."""

    number: int

    def __eq__(self, other: object) -> bool:
        # The claim of a back end without an artifact of its own may be the network's.
        if isinstance(other, AtLeast):
            return other.number == self.number
        return isinstance(other, int) and other >= self.number

    def __hash__(self) -> int:
        return hash(self.number)

    def __str__(self) -> str:
        return f"at least {self.number}"


def node_facts(node: Operator) -> dict[str, object]:
    """The facts of what a node computes."""
    facts = type_facts(node.type)
    # How wide the array's sums are, and copies that it widens, is its configuration's, and not the
    # network's.
    exact = node.rounded and not node.is_optional
    return facts if exact else facts | {"bits": AtLeast(node.type.bits)}


def type_facts(type: QType) -> dict[str, object]:
    """The facts of a tensor's type."""
    return {name: getattr(type, name) for name in TYPE_FACTS}


def table_fact(table: Iterable[Iterable[int]] | None) -> tuple[tuple[int, ...], ...] | None:
    """A pixel table, (channels, 256), as a fact: rows of plain integers."""
    # NumPy's integers compare as arrays and print their type.
    return None if table is None else tuple(tuple(int(value) for value in row) for row in table)


def host_fact(text: str | None) -> str | None:
    """What the host computes of the outputs, in a few words that are equal for equal programs."""
    if text is None:
        return None
    return f"of {text.count(chr(10))} steps ({hashlib.sha256(text.encode()).hexdigest()[:12]})"


def graph_claims(graph: Graph, lowered: Graph) -> dict[tuple[str, str], Claim]:
    """What the network itself says, by kind and name.

    Parameters
    ----------
    lowered : the graph that artifacts compute, whose nodes are their layers
    """
    inputs = [
        Claim(
            "input",
            node.name,
            {
                "shape": tuple(node.shape),
                "axes": node.axes,
                **type_facts(node.type),
                TABLE: table_fact(node.table),
            },
        )
        for node in graph.inputs
    ]
    outputs = [
        Claim(
            "output",
            output.name,
            {
                "shape": tuple(output.shape),
                "axes": output.axes,
                HOST: host_fact(graph.host and graph.host.text(full=True)),
                **node_facts(graph[output.name]),
            },
        )
        for output in graph.outputs
    ]
    layers = [
        Claim("layer", node.name, node_facts(node)) for node in lowered.nodes if node.is_computed
    ]
    # By kind too, since an output is a layer as well, and a user sees another shape of it.
    return {(claim.kind, claim.name): claim for claim in (*inputs, *outputs, *layers)}


def contradictions(
    claims: Iterable[Claim], wanted: Mapping[tuple[str, str], Claim]
) -> Iterator[tuple[str, str, str]]:
    """Kind, name and problem of each fact that is not the network's, or that is missing.

    Parameters
    ----------
    claims : the artifact's; of a batch, those of each of its images
    wanted : the network's, of which inputs and outputs must be claimed
    """
    # Kept beside the facts: a claim that is left out must not pass for one that is right.
    claimed = set()
    for claim in claims:
        key = claim.kind, claim.name
        claimed.add(key)
        if key not in wanted:
            yield *key, f"the image has it, but the network has no such {claim.kind}"
            continue
        for fact, right in wanted[key].facts.items():
            got = claim.facts.get(fact)
            if got != right:
                yield *key, _difference(fact, got, right)
    for kind, name in wanted:
        # Layers that are missing have no values, which the comparison of values tells.
        if kind != "layer" and (kind, name) not in claimed:
            yield kind, name, "the image says nothing of it"


def _difference(fact, got, right):
    if fact == TABLE and got is not None and right is not None:
        # As objects, since an image's rows may have any lengths.
        one, other = np.array(got, object), np.array(right, object)
        if one.shape == other.shape:
            wrong = np.argwhere(one != other)
            channel, pixel = (int(number) for number in wrong[0])
            return (
                f"{len(wrong)} of {other.size} values of the image's pixel table differ, the first "
                f"for channel {channel}, pixel {pixel}: expected {other[channel, pixel]}, got "
                f"{one[channel, pixel]}"
            )
    if fact == TABLE:
        got, right = (_size(table) for table in (got, right))
    return f"the image claims {fact} {got}, but the network has {right}"


def _size(table):
    return None if table is None else f"of {len(table)} channels"
