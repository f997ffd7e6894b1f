"""Tensors whose channels must have one order, as some operators work channel by channel."""

from dataclasses import dataclass, field

from qnn.ir.graph import Graph
from qnn.ir.ops import Conv


@dataclass(eq=False)
class Family:
    """Tensors whose channels must have one order.

    Members
    -------
    names : of the tensors
    makers : the convolutions that compute them
    fixed : whether an order is given from outside
    """

    names: list[str] = field(default_factory=list)
    makers: list[Conv] = field(default_factory=list)
    fixed: bool = False


def families(graph: Graph) -> list[Family]:
    """The families of ``graph``; every tensor is in one."""
    of: dict[str, Family] = {}
    # Users know the channels of the network's results.
    fixed = {output.name for output in graph.outputs}
    for node in graph.nodes:
        conv = node if isinstance(node, Conv) else None
        of[node.name] = own = Family([node.name], [] if conv is None else [conv])
        aligned = node.aligned(graph.sources(node))
        for name in aligned:
            _join(of, own, of[name])
        if _counts_neighbours(conv, aligned):
            fixed |= {node.name, *node.inputs}
    for name in fixed:
        of[name].fixed = True
    return list({id(family): family for family in of.values()}.values())


def _counts_neighbours(conv: Conv | None, aligned: tuple[str, ...]) -> bool:
    """Whether channels count by their places: of an input, a concatenation or PyTorch's groups."""
    # An operand of groups that is their skip operand too is aligned for that alone.
    return not aligned if conv is None else conv.window.groups > 1 and not conv.depthwise


def _join(of: dict[str, Family], own: Family, other: Family) -> None:
    if own is other:
        return
    own.names += other.names
    own.makers += other.makers
    own.fixed |= other.fixed
    of |= dict.fromkeys(other.names, own)
