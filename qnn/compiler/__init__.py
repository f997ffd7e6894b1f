"""Integer graph to image. ``PASSES`` keep the graph's results; the rest chooses where and when."""

from dataclasses import replace

from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from qnn.compiler.build import build_image
from qnn.compiler.place_concats import place_concats
from qnn.compiler.remove_unused import remove_unused
from qnn.ir.bounds import check_bounds
from qnn.ir.check import check
from qnn.ir.graph import Graph

PASSES = (remove_unused, place_concats)


def run_passes(graph: Graph) -> Graph:
    """The graph as the accelerator computes it; every tensor that stays keeps its integers."""
    check(graph)
    for transform in PASSES:
        graph = transform(graph)
        check(graph)
    return graph


def compile_graph(
    graph: Graph, config: SvpeConfig, batch: int = 1, bytes_per_cycle: int | None = None
) -> Image:
    """The image of ``graph`` for ``batch`` inputs a run.

    ``bytes_per_cycle`` is what the memory gives and takes, by default as much as the bus: a network
    that is larger than the chip is cut to it.

    Raises
    ------
    CompileError
        The graph does not fit the accelerator; the text names the layer and the parameter.
    """
    graph = run_passes(graph)
    check_bounds(graph, config.accumulator_bits, config.result_bits)
    image = build_image(graph, config, batch, bytes_per_cycle)
    table = graph.inputs[0].table
    return image if table is None else replace(image, pixel_table=tuple(map(tuple, table.tolist())))
