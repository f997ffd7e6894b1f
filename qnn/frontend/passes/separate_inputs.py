"""An input, whose type is its own, is copied where it joins others."""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.ops.conv import identity
from qnn.frontend.ops.interleave import FloatInterleave
from qnn.frontend.rewrite import Rewrite


def separate_inputs(graph: FloatGraph) -> FloatGraph:
    """Requantize each tensor of one input's values before it meets those of another type."""
    owner = _owners(graph)
    rewrite = Rewrite(graph)
    copied: dict[str, str] = {}
    for join in rewrite.each(FloatConcat, FloatInterleave):
        # All from one input: the joined tensor keeps the input's own type.
        if owner[join.name] is not None:
            continue
        new = [n for n in dict.fromkeys(join.inputs) if owner[n] is not None and n not in copied]
        copies = [_copy(rewrite[name]) for name in new]
        copied |= {name: copy.name for name, copy in zip(new, copies, strict=True)}
        # One copy serves all that joins it behind.
        inputs = tuple(copied.get(name, name) for name in join.inputs)
        rewrite.exchange(join.name, *copies, replace(join, inputs=inputs))
    return rewrite.graph()


def _owners(graph):
    """The one input whose values, and nothing else, a tensor holds; None if it computes."""
    owner: dict[str, str | None] = {source.name: source.name for source in graph.inputs}
    for node in graph.nodes[len(owner) :]:
        sources = {owner[name] for name in node.inputs}
        owner[node.name] = sources.pop() if len(sources) == 1 and node.shares_type else None
    return owner


def _copy(source):
    return replace(identity(f"{source.name}.requantized", source), requantize=True)
