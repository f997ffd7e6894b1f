"""Pass: a product becomes a convolution that copies its first operand to where it is multiplied."""

from dataclasses import replace

from hw.spec.config import MOST_FACTOR_BITS
from qnn.compiler.compilation import Compilation
from qnn.compiler.identity import copy_channels, fresh_name, weight_bits
from qnn.compiler.product import copied_and_multiplied
from qnn.errors import CompileError


def lower_products(state: Compilation) -> Compilation:
    """The state with every product as such a convolution, of operands that it takes.

    Hardware puts back half the range of an activation, so that a factor of a narrower unsigned type
    is copied into the widest one.

    Raises
    ------
    CompileError
        The configuration multiplies no two tensors; the text names the product.
    """
    graph, config = state.graph, state.config
    nodes, copies = [], {}
    names, bits = {node.name for node in graph.nodes}, weight_bits(graph)
    multiplied = {node.name for node in graph.products}
    for node in graph.nodes:
        if node.name in multiplied:
            _check(node, config)
            for factor in dict.fromkeys(node.inputs):
                if factor not in copies and _is_narrow(graph[factor].type, config):
                    copies[factor] = fresh_name(f"{factor}_copy", names)
                    nodes.append(_widened(copies[factor], graph[factor], bits, config))
            inputs = tuple(copies.get(name, name) for name in node.inputs)
            node = copied_and_multiplied(replace(node, inputs=inputs), bits)
        nodes.append(node)
    return replace(state, graph=replace(graph, nodes=tuple(nodes)))


def _check(product, config):
    if not config.multiplies:
        raise CompileError(
            f"multiply '{product.name}' needs activations of at most {MOST_FACTOR_BITS} bits, as "
            f"an array has no products of wider ones, but the configuration has "
            f"{config.activation_bits} (SvpeConfig.activation_bits); lower it"
        )


def _is_narrow(type, config):
    return not type.signed and type.bits < config.activation_bits


def _widened(name, source, bits, config):
    type = replace(source.type, bits=config.activation_bits)
    return replace(copy_channels(name, source, bits), type=type)
