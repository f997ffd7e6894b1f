"""Maximum and minimum of two tensors are sums with what one is over the other.

``max(a, b) = a + relu(b - a)`` and ``min(a, b) = a - relu(a - b)``. Of operands of one type, a
difference over 0 has as many bits, unsigned, so that nothing is lost on the way.
"""

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.extreme import Extreme
from qnn.frontend.rewrite import Rewrite


def lower_extremes(graph: FloatGraph) -> FloatGraph:
    """Exchange each for a difference, a ReLU and a sum."""
    rewrite = Rewrite(graph)
    for node in rewrite.each(Extreme):
        one, other = node.inputs
        pair = (one, other) if node.least else (other, one)
        over, excess = f"{node.name}.difference", f"{node.name}.excess"
        rewrite.exchange(
            node.name,
            Add(name=over, inputs=pair, shape=node.shape, alpha=-1.0),
            Clamp(name=excess, inputs=(over,), shape=node.shape, low=0.0, high=None),
            Add(
                name=node.name,
                inputs=(one, excess),
                shape=node.shape,
                alpha=-1.0 if node.least else 1.0,
            ),
        )
    return rewrite.graph()
