"""Cycles that the array needs at least: what reports call estimated, before any simulation."""

from math import ceil

from hw.spec.image import Image
from hw.spec.isa.tiles import Tiles


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
