"""What works value by value behind an interleaving works on each of its operands instead.

There it may join the convolution that computes the operand. A normalisation moves over
resampling too, where it has fewer values.
"""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.batch_norm import BatchNorm
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.quantizer import Quantizer
from qnn.frontend.rewrite import Rewrite

ELEMENTWISE = (BatchNorm, Clamp, FloatFunction, Quantizer)


def spread_over_interleaves(graph: FloatGraph) -> FloatGraph:
    """Move each up as far as only it reads what it moves over."""
    rewrite = Rewrite(graph)
    for first in rewrite.each(*ELEMENTWISE):
        # Operands may be interleaved in turn.
        waiting = [first]
        while waiting:
            node = waiting.pop()
            source = rewrite[node.inputs[0]]
            if _moves_over(node, source) and rewrite.uses(source.name) == 1:
                waiting += _moved(node, source, rewrite)
    return rewrite.graph()


def _moves_over(node, source):
    return source.interleaves or (source.passes_norm and node.kind == BatchNorm.kind)


def _moved(node, over, rewrite):
    """The nodes that are now on the operands."""
    operands = list(dict.fromkeys(over.inputs))
    # Of several, each has its own name; readers of the result read what the nodes moved over.
    names = {
        name: node.name if len(operands) == 1 else f"{node.name}.{number}"
        for number, name in enumerate(operands)
    }
    made = [
        replace(node, name=names[name], inputs=(name,), shape=rewrite[name].shape)
        for name in operands
    ]
    rewrite.redirect(node.name, over.name)
    rewrite.exchange(node.name)
    inputs = tuple(names[name] for name in over.inputs)
    rewrite.exchange(over.name, *made, replace(over, inputs=inputs))
    return made
