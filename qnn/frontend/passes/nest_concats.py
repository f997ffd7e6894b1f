"""A concatenation that holds all operands of an earlier one reads that one instead.

Networks whose layers read all results so far often list them anew for each layer. A tensor has its
place in one concatenation, so that each further list would be a copy of all that it holds; inside
another one, a concatenation is a part of it that is there already.
"""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.rewrite import Rewrite


def nest_concats(graph: FloatGraph) -> FloatGraph:
    """Let each concatenation name the longest earlier ones that its list has."""
    rewrite = Rewrite(graph)
    # The lists as they were written, by their first operand.
    begun: dict[str, list[FloatConcat]] = {}
    for join in rewrite.each(FloatConcat):
        rewrite.exchange(join.name, replace(join, inputs=_nested(join.inputs, begun)))
        begun.setdefault(join.inputs[0], []).append(join)
    return rewrite.graph()


def _nested(inputs, begun):
    names, at = [], 0
    while at < len(inputs):
        earlier = begun.get(inputs[at], ())
        found = [each for each in earlier if inputs[at : at + len(each.inputs)] == each.inputs]
        longest = max(found, key=lambda each: len(each.inputs), default=None)
        names.append(inputs[at] if longest is None else longest.name)
        at += 1 if longest is None else len(longest.inputs)
    return tuple(names)
