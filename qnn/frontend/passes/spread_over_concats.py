"""What works value by value behind a concatenation works on its operands, where that is less work.

That is where nothing else reads the concatenation, and a layer before it takes a part in. Where
each layer of a network reads all results so far through one function, each would apply it again to
all of them: here it is applied to each result once, by the layer that computes it. Normalisations
that differ from layer to layer are no such function, and stay.
"""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.batch_norm import BatchNorm
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.quantizer import Quantizer
from qnn.frontend.passes.split_pools import LANES
from qnn.frontend.rewrite import Rewrite

ELEMENTWISE = (BatchNorm, Clamp, FloatFunction, Quantizer)


def spread_over_concats(graph: FloatGraph) -> FloatGraph:
    """Move each one up as far as it is taken in; what is the same of one tensor becomes one."""
    rewrite = Rewrite(graph)
    # From the last concatenation back: what moves off it may be what reads one inside it already.
    for join in reversed(list(rewrite.each(FloatConcat))):
        node = _only_reader(join.name, rewrite)
        while node is not None and _pays(node, rewrite):
            _move(node, rewrite)
            node = _only_reader(join.name, rewrite)
    for node in rewrite.each(*ELEMENTWISE):
        _merge_readers(node.inputs[0], rewrite)
    return rewrite.graph()


def _only_reader(name, rewrite):
    """What works value by value and is all that reads the tensor, once equal ones are one."""
    _merge_readers(name, rewrite)
    readers = rewrite.users(name)
    alone = rewrite.uses(name) == len(readers) == 1
    return readers[0] if alone and isinstance(readers[0], ELEMENTWISE) else None


def _merge_readers(name, rewrite):
    kept: list[FloatOperator] = []
    for reader in rewrite.users(name):
        same = next((each for each in kept if reader.computes_as(each)), None)
        if same is None:
            kept.append(reader)
        else:
            rewrite.redirect(reader.name, same.name)
            rewrite.exchange(reader.name)


def _pays(node, rewrite):
    """Whether less is computed once ``node`` works on the operands."""
    parts = list(_parts(node, rewrite[node.inputs[0]], rewrite))
    free = [_is_free(part, rewrite) for part in parts]
    # A pass over all channels fills the words that operands leave partly empty.
    return all(free) or (any(free) and all(part.shape[0] % LANES == 0 for part in parts))


def _is_free(part, rewrite):
    """Whether something computes ``part`` already, or a layer would as it computes the operand."""
    (name,) = part.inputs
    there = any(reader.computes_as(part) for reader in rewrite.users(name))
    return there or (rewrite.uses(name) == 1 and _is_taken(part, rewrite[name], rewrite))


def _is_taken(node, source, rewrite):
    if source.joins:
        return all(_is_free(part, rewrite) for part in _parts(node, source, rewrite))
    if node.moves_before(source):
        below = rewrite[source.inputs[0]]
        return rewrite.uses(below.name) == 1 and _is_taken(node, below, rewrite)
    return node.is_taken_by(source)


def _parts(node, join, rewrite):
    """What ``node`` is of each operand of a concatenation, under its own name."""
    first = 0
    for name in join.inputs:
        count = rewrite[name].shape[0]
        yield node.selected(tuple(range(first, first + count)), (name,))
        first += count


def _move(node, rewrite):
    """Exchange ``node`` for its parts on the operands of the concatenation that it reads."""
    join = rewrite[node.inputs[0]]
    parts = [
        replace(part, name=rewrite.fresh(f"{node.name}.{number}"))
        for number, part in enumerate(_parts(node, join, rewrite))
    ]
    # Readers of the result read the concatenation, whose values are now the same.
    rewrite.redirect(node.name, join.name)
    rewrite.exchange(node.name)
    inputs = tuple(part.name for part in parts)
    rewrite.exchange(join.name, *parts, replace(join, inputs=inputs))
