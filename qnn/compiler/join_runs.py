"""Which runs may be one: layers behind each other, and operands that are joined."""

from qnn.compiler.network import MappedNetwork
from qnn.compiler.segments import passes
from qnn.compiler.storage import lies_in
from qnn.ir.ops import Operator

# Each layer of a run computes the rows at its strips' borders again: with 3x3 kernels four of them
# repeat up to six rows of the first one per strip, and so much more with each further layer.
# Measured by the cycle model: ResNet-18 takes 1,048,599 cycles with one layer per run and 1,017,987
# with two, and no fewer with 3, 4 or 6; ResNet-20 in 1,024 feature words takes 34,889 and 29,361.
MOST_LAYERS = 4


def few_enough(nodes: tuple[Operator, ...]) -> bool:
    """Whether a run of these layers has no more than ``MOST_LAYERS``.

    Those that are computed in their places inside the last one count as one: none reads another.
    """
    return sum(not lies_in(node, nodes[-1]) for node in nodes) <= MOST_LAYERS


def joins(
    network: MappedNetwork, nodes: tuple[Operator, ...], following: tuple[Operator, ...]
) -> bool:
    """Whether only the following run needs the results of a run."""
    graph, name = network.graph, nodes[-1].name
    users = graph.users(name)
    return (
        nodes[-1].is_computed
        and bool(users)
        and all(user in following and user.is_computed for user in users)
        and all(output.name != name for output in graph.outputs)
        # A tensor inside a concatenation is read with the others, so that its strips alone are no
        # use.
        and network.place[name].root == name
        and passes(nodes[-1], network.config) == 1
    )


def joined_alone(network: MappedNetwork) -> list[Operator]:
    """What joins operands, lies in nothing else, and whose operands are computed for it alone."""
    graph, place = network.graph, network.place
    outputs = {output.name for output in graph.outputs}
    return [
        node
        for node in graph.nodes
        if node.inputs
        and not node.is_computed
        and place[node.name].root == node.name
        and outputs.isdisjoint(node.inputs)
        and all(source.is_computed for source in graph.sources(node))
        and all(graph.users(name) == (node,) for name in node.inputs)
    ]
