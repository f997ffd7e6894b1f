"""A linear or diagonal layer behind a flatten takes the whole image as its kernel."""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import FloatConv, each_value, identity
from qnn.frontend.ops.flatten import Flatten
from qnn.frontend.rewrite import Rewrite
from qnn.ir.window import Window


def fold_flatten(graph: FloatGraph) -> FloatGraph:
    """Let the layers read the image; for all other readers, a convolution flattens it."""
    rewrite = Rewrite(graph)
    for flatten in rewrite.each(Flatten):
        source, users = rewrite[flatten.inputs[0]], rewrite.users(flatten.name)
        # One pixel is a vector already; an output without readers differs in its shape alone.
        if source.shape[1:] == (1, 1) or not users:
            _remove(flatten, rewrite)
            continue
        layers = [user for user in users if _is_layer(user)]
        for layer in layers:
            rewrite.exchange(layer.name, _on_image(layer, source))
        if len(layers) == len(users):
            _remove(flatten, rewrite)
        else:
            values = replace(identity(flatten.name, flatten), inputs=(source.name,))
            rewrite.exchange(flatten.name, each_value(values, source))
    return rewrite.graph()


def _remove(flatten, rewrite):
    rewrite.exchange(flatten.name)
    rewrite.redirect(flatten.name, flatten.inputs[0])


def _is_layer(node):
    if not isinstance(node, FloatConv) or not node.pointwise:
        return False
    # Groups of a flattened image mix pixels of other channels, which no kernel does.
    return node.window.groups == 1 or (node.diagonal and node.fixed)


def _on_image(layer, source):
    # Its weights would become mostly zeros, which only fixed ones may: nothing learns them.
    if layer.window.groups > 1:
        return each_value(layer, source)
    return replace(
        layer,
        inputs=(source.name, *layer.inputs[1:]),
        weight=layer.weight.reshape(-1, *source.shape),
        window=Window(kernel=source.shape[1:]),
    )
