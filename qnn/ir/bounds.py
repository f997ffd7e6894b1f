"""The proof that no sum of a network overflows, whatever the image."""

from qnn.errors import CompileError
from qnn.ir.graph import Graph
from qnn.ir.ops import Operator
from qnn.ir.sums import Bounds


def bounds(graph: Graph) -> dict[str, Bounds]:
    """The bounds of every operator that sums, by its name."""
    proved = {node.name: node.bounds(graph.sources(node)) for node in graph.nodes}
    return {name: bound for name, bound in proved.items() if bound is not None}


def check_bounds(graph: Graph, accumulator_bits: int, result_bits: int) -> None:
    """Prove that no sum of products leaves ``accumulator_bits``, and no result ``result_bits``.

    Nor may an unrounded result leave its own type, which is what the reference keeps of it.

    Raises
    ------
    CompileError
        A sum or a product could overflow; the text names it.
    """
    for bound in bounds(graph).values():
        node = graph[bound.name]
        for field, needed, given in (
            ("accumulator_bits", bound.accumulator_bits, accumulator_bits),
            ("result_bits", bound.result_bits, result_bits),
        ):
            if needed > given:
                raise CompileError(
                    f"{node.kind} '{node.name}' needs {needed} bits for its sums to be safe from "
                    f"overflow, but the accelerator has {given}; take a configuration with "
                    f"{field}={needed}, or fewer terms, weight bits or activation bits"
                )
        check_whole(graph, node)


def check_whole(graph: Graph, node: Operator) -> None:
    """Prove that the type of ``node`` holds its result, where that is not rounded.

    Raises
    ------
    CompileError
        It may not.
    """
    if node.rounded:
        return
    # Magnitudes here are of plain integers: the type must hold what the user reads.
    needed = node.sums(graph.sources(node)).plain_bounds()[1].bit_length() + 1
    if needed > node.type.bits:
        raise CompileError(
            f"{node.kind} '{node.name}' needs {needed} bits for its unrounded result, but its type "
            f"{node.type} has {node.type.bits}; give it a wider one, or shift it less"
        )
