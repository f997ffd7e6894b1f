"""Types lose the binary places that nothing fills, and those that nothing reads."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.operator import FloatOperator, sum_of
from qnn.quant.qtype import QType

# Beyond those that a sum is rounded to, for its result or for a table: rounding leaves nothing.
ADDEND_PLACES = 12


def without_needless_places(
    graph: FloatGraph, types: dict[str, QType], whole: Collection[str]
) -> dict[str, QType]:
    """The types with coarser ones where finer steps are of no use; those that were shared stay so.

    Parameters
    ----------
    types : of each tensor, and of each table's index, by name; tensors that share one have the
        same object
    whole : unrounded results, whose exponents are not known yet
    """
    return _no_finer_than_sums(graph, _no_finer_than_operands(graph, types), whole)


def _no_finer_than_operands(graph, types):
    """A result has no more places than integers of its operands give it."""
    for node in graph.nodes:
        places = None if len(node.unfused()) > 1 else places_of(node, types)
        if places is not None and types[node.name].exponent > places:
            finer, coarser = types[node.name], replace(types[node.name], exponent=places)
            types = {name: coarser if type is finer else type for name, type in types.items()}
    return types


def places_of(node: FloatOperator, types: Mapping[str, QType]) -> int | None:
    """The places that the sums of ``node`` may need of what its operands have; None: any number."""
    operands = [types[name].exponent for name in node.inputs]
    if node.multiplies:
        return sum(operands)
    # A sum that is always near 0, as over channels that are normalised, is no reason for more.
    return None if node.added_places is None else max(operands) + node.added_places


def _no_finer_than_sums(graph, types, whole):
    """What is only added has no places that are lost in every sum, whose bits they would take."""
    coarser = {}
    for nodes in _sharing(graph, types):
        sums = _sums(graph, nodes)
        if not sums or not whole.isdisjoint(sums):
            continue
        type = types[nodes[0].name]
        # What a table gives may be of any scale, as the reciprocal of a sum that is nearly 0.
        rounded = [types.get(sum_of(name), types[name]) for name in sums]
        most = max(each.exponent for each in rounded) + ADDEND_PLACES
        if type.exponent > most:
            # Steps that are so much coarser reach all values, wherever 0 lies.
            rough = replace(type, exponent=most, zero_point=0)
            coarser |= {node.name: rough for node in nodes}
    return types | coarser


def _sharing(graph, types) -> list[list[FloatOperator]]:
    """The nodes of each type."""
    found: dict[int, list[FloatOperator]] = {}
    for node in graph.nodes:
        found.setdefault(id(types[node.name]), []).append(node)
    return list(found.values())


def _sums(graph, nodes) -> set[str]:
    """Names of the sums that read any of ``nodes``; none where something else reads them too."""
    names = {node.name for node in nodes}
    if any(graph.is_output(node.name) or not node.inputs for node in nodes):
        return set()
    readers = {(user, name) for name in names for user in graph.users(name)}
    others = {(user, name) for user, name in readers if user.name not in names}
    return {user.name for user, _ in others} if all(u.adds(n) for u, n in others) else set()
