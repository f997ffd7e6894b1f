"""Gathers move up to where channels are computed, and there choose rows of weights.

A network that splits a tensor computes its parts apart, so that no split is left.
"""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph, needed
from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.ops.gather import ChannelGather
from qnn.frontend.rewrite import Rewrite

# Each part of a concatenation starts a block of feature words; smaller parts would fill none.
SMALLEST_PART = 16


def lift_gathers(graph: FloatGraph) -> FloatGraph:
    """Move gathers over what works channel by channel, out of concatenations and into weights."""
    while True:
        rewrite = Rewrite(graph)
        # From the results back: what gathers alone read has then got all of them.
        changed = [_lifted(node.name, rewrite) for node in reversed(graph.nodes)]
        graph = rewrite.graph()
        if not any(changed):
            return replace(graph, nodes=needed(graph.nodes, graph.outputs))


def _lifted(name, rewrite):
    """Whether gathers behind the node ``name`` were moved."""
    users = rewrite.users(name) if name in rewrite else ()
    gathers = [user for user in users if user.order is not None]
    if not gathers:
        return False
    node, alone = rewrite[name], rewrite.uses(name) == len(gathers)
    if node.joins:
        return _taken_apart(node, gathers, alone, rewrite)
    # What others read too has to be computed as it is.
    if not alone:
        return False
    if node.order is not None:
        return _composed(node, gathers, rewrite)
    # Channels that several read would be computed several times.
    if sum(len(gather.channels) for gather in gathers) > node.shape[0]:
        return False
    return _split(node, gathers, rewrite) or _passed(node, gathers, rewrite)


def _composed(node, gathers, rewrite):
    for gather in gathers:
        channels = tuple(node.channels[channel] for channel in gather.channels)
        rewrite.exchange(gather.name, replace(gather, inputs=node.inputs, channels=channels))
    rewrite.exchange(node.name)
    return True


def _split(conv, gathers, rewrite):
    """One convolution for each gather."""
    parts = [conv.of_outputs(gather.channels) for gather in gathers]
    if None in parts:
        return False
    for gather, part in zip(gathers, _named(conv, parts, rewrite), strict=True):
        rewrite.exchange(gather.name, part)
        rewrite.redirect(gather.name, part.name)
    return True


def _passed(node, gathers, rewrite):
    """Each gather before ``node``, which then works on what it gathers."""
    moved = [node.selected(gather.channels, node.inputs) for gather in gathers]
    if None in moved or not node.inputs:
        return False
    sources = [rewrite[name] for name in node.inputs]
    for gather, over in zip(gathers, _named(node, moved, rewrite), strict=True):
        # One channel that all share is the same for any of them.
        before = [
            each if each.shape[0] == 1 < node.shape[0] else _gather(each, gather.channels, rewrite)
            for each in sources
        ]
        inputs = tuple(each.name for each in before)
        own = [each for each in before if each.name not in rewrite]
        rewrite.exchange(gather.name, *own, replace(over, inputs=inputs))
        rewrite.redirect(gather.name, over.name)
    return True


def _named(node, parts, rewrite):
    """The parts that take the place of ``node``; an only one keeps its name, its module's."""
    rewrite.exchange(node.name)
    if len(parts) == 1:
        return parts
    names = [rewrite.fresh(f"{node.name}.{number}") for number in range(len(parts))]
    return [replace(part, name=name) for part, name in zip(parts, names, strict=True)]


def _taken_apart(concat, gathers, alone, rewrite):
    changed = [_parted(concat, gather, alone, rewrite) for gather in gathers]
    if not rewrite.uses(concat.name):
        rewrite.exchange(concat.name)
    return any(changed)


def _parted(concat, gather, alone, rewrite):
    """Whether the gather became a concatenation of the operands' own gathers."""
    parts, kept, start = [], [], 0
    for name in concat.inputs:
        source = rewrite[name]
        used = sorted({c - start for c in gather.channels if 0 <= c - start < source.shape[0]})
        parts += [(source, tuple(used))] if used else []
        kept += [start + channel for channel in used]
        start += source.shape[0]
    # Of all channels only their order is left, which is nothing that operands could change.
    if len(kept) == concat.shape[0] or not all(_pays(*part, alone) for part in parts):
        return False
    new = [
        source if len(used) == source.shape[0] else _gather(source, used, rewrite)
        for source, used in parts
    ]
    own = [node for node in new if node.name not in rewrite]
    place = {channel: number for number, channel in enumerate(kept)}
    order = tuple(place[channel] for channel in gather.channels)
    if len(new) > 1:
        names = tuple(node.name for node in new)
        shape = (len(kept), *concat.shape[1:])
        joined = FloatConcat(name=rewrite.fresh(f"{gather.name}.concat"), inputs=names, shape=shape)
        own, new = [*own, joined], [joined]
    if order == tuple(range(len(kept))):
        rewrite.exchange(gather.name, *own)
        rewrite.redirect(gather.name, new[0].name)
    else:
        ordered = replace(gather, inputs=(new[0].name,), channels=order)
        rewrite.exchange(gather.name, *own, ordered)
    return True


def _pays(source, used, alone):
    """Whether a part of a concatenation is worth to be gathered by itself."""
    whole = len(used) == source.shape[0]
    return whole or (alone and len(used) >= SMALLEST_PART)


def _gather(source, channels, rewrite):
    shape = (len(channels), *source.shape[1:])
    name = rewrite.fresh(f"{source.name}.gather")
    return ChannelGather(name=name, inputs=(source.name,), shape=shape, channels=tuple(channels))
