"""Pass: a product becomes a convolution that copies its first operand to where it is multiplied."""

from dataclasses import replace

from hw.spec.isa.codes import MOST_FACTOR_BITS
from qnn.compiler.compilation import Compilation
from qnn.compiler.copy_factors import FactorCopy
from qnn.compiler.identity import weight_bits
from qnn.compiler.product import copied_and_multiplied
from qnn.errors import CompileError


def lower_products(state: Compilation) -> Compilation:
    """The state with every product as such a convolution, of factors of the widest type.

    Raises
    ------
    CompileError
        The configuration multiplies no two tensors; the text names the product.
    """
    graph, config = state.graph, state.config
    for product in graph.products:
        _check(product, config)
    bits, multiplied = weight_bits(graph), {node.name for node in graph.products}
    nodes, sources = [], {}
    for node in graph.nodes:
        if isinstance(node, FactorCopy):
            if node.type.bits == config.activation_bits:
                sources[node.name] = node.inputs[0]
                continue
            node = replace(node, type=replace(node.type, bits=config.activation_bits))
        if node.name in multiplied:
            inputs = tuple(sources.get(name, name) for name in node.inputs)
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
