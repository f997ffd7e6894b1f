"""What the cycle model says of a run: cycles of each layer and of each engine."""

from dataclasses import dataclass

from hw.spec.image import Image
from hw.spec.isa.header import Engine
from sim.cycles.core import CoreModel
from sim.spent import SpentCycles


@dataclass(frozen=True)
class LayerTiming:
    """One layer of one image: cycles of its first step and of its last write, and what it cost."""

    name: str
    image: int
    issue_cycle: int
    last_write_cycle: int
    macs: int
    spent: SpentCycles  # from the last step of the layer before to its own

    @property
    def cycles(self) -> int:
        """The cycles from the first step to the last write."""
        return self.last_write_cycle - self.issue_cycle


@dataclass(frozen=True)
class Timing:
    """One run, in cycles from the write of START.

    ``busy_cycles`` and ``stall_cycles`` are by engine: it works, or holds an instruction that
    waits for a token. ``ended`` has the cycle in which each of an engine's instructions ended;
    ``moved_bytes`` are those of all bursts, instructions included.
    """

    cycles: int
    layers: tuple[LayerTiming, ...]
    busy_cycles: dict[Engine, int]
    stall_cycles: dict[Engine, int]
    ended: dict[Engine, tuple[int, ...]]
    array_utilisation: float
    moved_bytes: int


def timing(image: Image, core: CoreModel) -> Timing:
    """The timing of a run of ``image`` that ``core`` has finished."""
    layers = _layers(image, core.layers, core.spent)
    config = image.config
    # What the array could multiply in all cycles of the run, waiting included.
    capacity = config.lanes * config.rows * config.columns * core.done
    return Timing(
        cycles=core.done,
        layers=layers,
        busy_cycles={engine: core.engines[engine].busy_cycles() for engine in Engine},
        stall_cycles={engine: core.engines[engine].stalled for engine in Engine},
        ended={e: tuple(end - 1 for _, end in core.engines[e].spans) for e in Engine},
        array_utilisation=sum(layer.macs for layer in image.layers) / capacity,
        moved_bytes=core.moved_bytes,
    )


def _layers(image, spans, spent):
    """Each layer of each image, all its parts together."""
    parts: dict[tuple[str, int], list] = {}
    for layer in image.layers:
        # A run that was cut off has not computed every layer.
        if layer.tag in spans:
            parts.setdefault((layer.name, layer.image), []).append(layer)
    return tuple(
        LayerTiming(
            *key,
            issue_cycle=min(spans[part.tag][0] for part in own),
            last_write_cycle=max(spans[part.tag][1] for part in own),
            macs=sum(part.macs for part in own),
            spent=sum((spent[part.tag] for part in own), SpentCycles()),
        )
        for key, own in parts.items()
    )
