"""What each layer of an image costs: the cycle model's cycles of the array, by cause."""

from dataclasses import fields

from hw.spec.image import Image
from qnn.backend.costs import Costs, LayerCost
from qnn.compiler.estimate import layer_cycles
from sim.cycles import Timing, simulate_cycles
from sim.spent import SpentCycles

LATENCY = 32  # cycles of the assumed memory, as simulate_cycles and the RTL bench take them too
STALLS = tuple(field.name for field in fields(SpentCycles) if field.name != "issue")


def costs(image: Image) -> Costs:
    """Run the cycle model on ``image``."""
    config, timing = image.config, simulate_cycles(image, LATENCY)
    capacity = config.lanes * config.rows * config.columns
    estimated = layer_cycles(image)
    kinds = {layer.name: layer.op for layer in image.layers}
    layers = tuple(
        _layer(name, kinds[name], timing, image.batch, capacity, estimated[name])
        # Once for each name, in the order in which layers first run.
        for name in dict.fromkeys(layer.name for layer in timing.layers)
    )
    # A mean: in a batch, images overlap.
    cycles = timing.cycles / image.batch
    macs = sum(layer.macs for layer in layers)
    # A multiplier takes the whole weight in one step.
    rows = config.rows if config.pe == "shift" else None
    return Costs(layers, cycles, macs / (capacity * cycles), LATENCY, config.bus_bytes, rows)


def _layer(name, op, timing: Timing, batch, capacity, estimated):
    parts = [layer for layer in timing.layers if layer.name == name]
    total = sum((layer.spent for layer in parts), SpentCycles())
    macs = sum(layer.macs for layer in parts) // batch
    cycles = total.cycles / batch
    stalls = {cause: getattr(total, cause) / batch for cause in STALLS}
    utilisation = macs / (capacity * cycles) if cycles else 0.0
    return LayerCost(name, op, macs, cycles, total.issue / batch, stalls, estimated, utilisation)
