"""Integer graph to image. ``PASSES`` is the compiler, in the order in which it works."""

from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from qnn.compiler.compilation import Compilation
from qnn.compiler.passes import GRAPH_PASSES, PASSES
from qnn.ir.check import check
from qnn.ir.graph import Graph


def run_passes(graph: Graph) -> Graph:
    """The graph as the accelerator computes it; every tensor that stays keeps its integers."""
    check(graph)
    for transform in GRAPH_PASSES:
        graph = transform(graph)
        check(graph)
    return graph


def compile_graph(
    graph: Graph,
    config: SvpeConfig,
    batch: int = 1,
    bytes_per_cycle: int | None = None,
    *,
    checked: bool = False,
) -> Image:
    """The image of ``graph`` for ``batch`` inputs a run.

    Parameters
    ----------
    bytes_per_cycle : what the memory gives and takes; by default as much as the bus does
    checked : hold every pass to what must be true before and after it

    Raises
    ------
    CompileError
        The graph does not fit the accelerator; the text names the layer and the parameter.
    AssertionError
        With ``checked``, a pass broke its promise; the text names the pass.
    """
    check(graph)
    state = Compilation(
        graph=graph,
        config=config,
        batch=batch,
        bytes_per_cycle=bytes_per_cycle or config.bus_bytes,
    )
    for each in PASSES:
        state = each(state, checked=checked)
    return state.image
