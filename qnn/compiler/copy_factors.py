"""Pass: each unsigned factor of a product has a copy, which may be of a wider type than it."""

from dataclasses import dataclass, fields, replace

from qnn.compiler.identity import copy_channels, fresh_name, weight_bits
from qnn.ir.graph import Graph
from qnn.ir.ops import Conv


@dataclass(frozen=True, eq=False, kw_only=True)
class FactorCopy(Conv):
    """A copy that only products read; what knows the configuration drops it, or widens it."""

    @property
    def is_optional(self) -> bool:
        return True

    @property
    def in_place(self) -> tuple[str, ...]:
        # Where it is dropped, products read its operand as it is.
        return self.inputs


def copy_factors(graph: Graph) -> Graph:
    """Let products read copies of their unsigned factors, one of each tensor.

    Hardware puts back half the range of an activation, so that a factor of a narrower unsigned type
    is copied into the widest one. Which that is depends on the configuration; the tensors of a
    network do not.
    """
    names, bits = {node.name for node in graph.nodes}, weight_bits(graph)
    multiplied = {node.name for node in graph.products}
    nodes, copies = [], {}
    for node in graph.nodes:
        for factor in node.inputs if node.name in multiplied else ():
            if factor not in copies and not graph[factor].type.signed:
                copies[factor] = fresh_name(f"{factor}_copy", names)
                plain = copy_channels(copies[factor], graph[factor], bits)
                nodes.append(FactorCopy(**_fields_of(plain)))
        if node.name in multiplied:
            node = replace(node, inputs=tuple(copies.get(name, name) for name in node.inputs))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def _fields_of(conv: Conv) -> dict:
    return {field.name: getattr(conv, field.name) for field in fields(conv)}
