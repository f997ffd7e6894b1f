"""Arithmetic with constants goes into the weights before or behind it.

What nothing takes in is a normalisation with factors of its own, as any other one.
"""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.affine import Affine
from qnn.frontend.ops.batch_norm import BatchNorm, Statistics
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.rewrite import Rewrite


def lower_affines(graph: FloatGraph) -> FloatGraph:
    """Let layers behind multiply where no layer before can; exchange the others for BatchNorm."""
    rewrite = Rewrite(graph)
    clamps = {clamp.name for clamp in rewrite.each(Clamp)}
    for node in rewrite.each(Affine):
        while not _is_taken_before(node, rewrite) and not _all_take(node, rewrite):
            if node.inputs[0] not in clamps or not _passes_clamp(node, rewrite):
                break
            clamps.add(node.name)
            node = _before_clamp(node, rewrite)
            clamps.remove(node.name)
        if not _is_taken_before(node, rewrite) and _all_take(node, rewrite):
            for layer in rewrite.users(node.name):
                rewrite.exchange(layer.name, _scaled(layer, node))
            rewrite.exchange(node.name)
        else:
            rewrite.exchange(node.name, _norm(node))
    return rewrite.graph()


def _is_taken_before(node, rewrite):
    """Whether a layer that nothing else reads will take it in, as it does a normalisation."""
    source = rewrite[node.inputs[0]]
    return source.learned and rewrite.uses(source.name) == 1


def _all_take(node, rewrite):
    """Whether each reader is a layer whose weights take the factors, and its bias the shift."""
    users = rewrite.users(node.name)
    if len(users) < rewrite.uses(node.name):
        return False
    layers = [user for user in users if user.learned and user.inputs[0] == node.name]
    # Padding is zeros before the shift and after it: only the inner sums would have the shift.
    return len(layers) == len(users) and all(
        not bool(node.shift.any()) or not any(layer.window.padding) for layer in layers
    )


def _scaled(layer, node):
    """The layer on the operand of ``node``."""
    inputs = (node.inputs[0], *layer.inputs[1:])
    if node.is_uniform and not bool(node.shift.any()):
        # Apart from the weights, which stay the trained ones.
        return replace(layer, inputs=inputs, scale=layer.scale * float(node.factor[0]))
    factor, shift = (_of_groups(each, layer) for each in (node.factor, node.shift))
    weight = layer.weight.double()
    sums = (weight * layer.scale * shift).sum((1, 2, 3))
    bias = sums if layer.bias is None else layer.bias.double() + sums
    return replace(
        layer,
        inputs=inputs,
        weight=(weight * factor).float(),
        bias=bias.float() if bool(node.shift.any()) else layer.bias,
    )


def _of_groups(values, layer):
    """A value for each input channel of each output, (outputs, inputs / groups, 1, 1)."""
    outputs, inputs = layer.weight.shape[:2]
    groups = layer.window.groups
    return values.reshape(groups, inputs).repeat_interleave(outputs // groups, 0)[..., None, None]


def _passes_clamp(node, rewrite):
    # Of a factor of zero there is no bound that the clamp could have.
    alone = rewrite.uses(node.inputs[0]) == 1
    return alone and node.is_uniform and float(node.factor[0]) != 0


def _before_clamp(node, rewrite):
    """Exchange the clamp and what it alone is read by, so that the clamp bounds the product."""
    clamp = rewrite[node.inputs[0]]
    factor, shift = float(node.factor[0]), float(node.shift[0])
    low, high = (
        None if bound is None else bound * factor + shift for bound in (clamp.low, clamp.high)
    )
    # A negative factor makes the lower bound the upper one.
    low, high = (low, high) if factor > 0 else (high, low)
    first = replace(node, name=clamp.name, inputs=clamp.inputs)
    rewrite.exchange(clamp.name, first)
    rewrite.exchange(
        node.name, replace(clamp, name=node.name, inputs=(first.name,), low=low, high=high)
    )
    return first


def _norm(node):
    statistics = Statistics.of_affine(node.factor, node.shift)
    return BatchNorm(name=node.name, inputs=node.inputs, shape=node.shape, statistics=statistics)
