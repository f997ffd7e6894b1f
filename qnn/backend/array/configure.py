"""The configuration of the array that a network needs: a named one, as wide as its numbers are."""

from hw.spec.config import MOST_INDEX_BITS, SvpeConfig, named_config
from hw.spec.widths import least_width
from qnn.compiler.recode_weights import recoded
from qnn.errors import CompileError
from qnn.ir.bounds import bounds
from qnn.ir.graph import Graph
from qnn.ir.ops import Conv, Multiply


def config_for(name: str, graph: Graph, **changes: int) -> SvpeConfig:
    """The configuration called ``name``, as wide as ``graph`` needs, with ``changes``.

    Sums and results are widened where they could overflow.

    Raises
    ------
    CompileError
        No configuration has that name, or it cannot have those sizes.
    """
    rounded = [n.type.bits for n in graph.nodes if n.rounded]
    # Four is the least that a configuration can have.
    widths = {"activation_bits": max(4, *rounded)}
    needed = max((epilogue.index_bits for epilogue in _epilogues(graph)), default=0)
    if needed > min(widths["activation_bits"], MOST_INDEX_BITS):
        widths["table_bits"] = needed
    if graph.convs:
        widths["weight_bits"] = max(node.weight_bits for node in graph.convs)
    try:
        config = named_config(name, **(widths | changes))
        # In the array's terms sums may pass through other values than in the network's own.
        proved = bounds(recoded(graph, config)).values()
        for field in ("accumulator_bits", "result_bits"):
            needed = max((getattr(bound, field) for bound in proved), default=0)
            if needed > getattr(config, field):
                # What the user asked for wins, even if it is too narrow: the compiler then says so.
                changes = {field: least_width(needed)} | changes
        return named_config(name, **(widths | changes))
    except ValueError as error:
        raise CompileError(str(error)) from None


def _epilogues(graph):
    return [node.epilogue for node in graph.nodes if isinstance(node, Conv | Multiply)]
