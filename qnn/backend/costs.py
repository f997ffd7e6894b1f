"""What a compiled network costs: cycles of each layer, and cells."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """What a formula says of a compiled network, before any simulation.

    Members
    -------
    layer_cycles : cycles for one image, by layer
    performance : the whole network, by name of the number
    cells : of the hardware, by kind; empty where they cannot be estimated
    """

    layer_cycles: Mapping[str, int]
    performance: Mapping[str, int | float | str]
    # Kinds differ from one family of chips to the next, so that they are names and not fields.
    cells: Mapping[str, int]


@dataclass(frozen=True)
class LayerCost:
    """One layer, a mean over the images of a batch.

    Members
    -------
    cycles : from the back end's model: steps, and what they waited for
    issue, stalls : the steps, and the rest by cause
    estimated : what the compiler estimates, without memory
    utilisation : products over what the hardware could do in those cycles, 0 to 1
    """

    name: str
    op: str
    macs: int
    cycles: float
    issue: float
    # Causes are the back end's own: the report takes whatever it names.
    stalls: Mapping[str, float]
    estimated: int
    utilisation: float


@dataclass(frozen=True)
class Costs:
    """The costs of all layers.

    Members
    -------
    cycles : from start to done, over the images of a batch
    latency_cycles, bytes_per_cycle : what is assumed of the memory: from an address to the first
        beat, and what it moves each way; None where the model has no memory
    rows : output channels that are computed at a time, in as many terms as the most of them takes;
        None where terms take no time
    """

    layers: tuple[LayerCost, ...]
    cycles: float
    utilisation: float
    latency_cycles: int | None = None
    bytes_per_cycle: int | None = None
    rows: int | None = None
