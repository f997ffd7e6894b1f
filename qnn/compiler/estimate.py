"""Cycles that the array needs at least: what reports call estimated, before any simulation."""

from collections.abc import Sequence
from math import ceil, prod

from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from hw.spec.isa.tiles import Tiles
from qnn.compiler.compilation import Compilation
from qnn.compiler.pack_input import pack_input
from qnn.compiler.passes import PASSES
from qnn.compiler.stack_images import stack_images
from qnn.compiler.storage import places
from qnn.compiler.tiles import choose_layout
from qnn.ir.graph import Graph


def array_cycles(graph: Graph, configs: Sequence[SvpeConfig]) -> list[int]:
    """Cycles of the array for one image, without a plan or a program, for each configuration.

    These differ in how results are written and neighbours are read alone.
    """
    first = configs[0]
    state = Compilation(graph=graph, config=first, batch=1, bytes_per_cycle=first.bus_bytes)
    for each in PASSES:
        if each.run is stack_images:
            break
        state = each(state)
    graph = state.graph
    for source in graph.inputs:
        graph, _ = pack_input(graph, source.name, first)
    return [_tiled(graph, config) for config in configs]


def _tiled(graph, config):
    tiling = choose_layout(graph, places(graph, config), config)
    return sum(
        prod(tile.count(graph[name])) * tiling.tile_cycles[name]
        for name, tile in tiling.tiles.items()
    )


def layer_cycles(image: Image) -> dict[str, int]:
    """Cycles for one image, by layer."""
    cycles: dict[str, int] = {}
    for instruction in image.program:
        if isinstance(instruction, Tiles):
            name = image.layers[instruction.tag].name
            cycles[name] = cycles.get(name, 0) + instruction.cycles
    # Images of a batch are alike, or share the columns of the array.
    return {name: ceil(each / image.batch) for name, each in cycles.items()}


def performance(image: Image) -> dict[str, int | float | str]:
    """The whole network, in FINN's names where they mean the same."""
    cycles = layer_cycles(image)
    total = sum(cycles.values())
    macs = sum(layer.macs for layer in image.layers) // image.batch
    config = image.config
    slowest = max(cycles, key=cycles.__getitem__, default="")
    # That the array makes in all cycles.
    products = config.lanes * config.rows * config.columns * max(total, 1)
    return {
        "critical_path_cycles": total,
        "max_cycles": cycles.get(slowest, 0),
        "max_cycles_node_name": slowest,
        "cycles_per_image": total,
        "macs_per_image": macs,
        "array_utilisation": macs / products,
    }
