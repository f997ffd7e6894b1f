"""Which core suits a network: how many words it writes in a cycle, and whether it has neighbours.

Layers of few channels wait for their results to be written, and depthwise ones use a lane of each
element. A core with more words, or with neighbours' values, computes them in fewer cycles. It takes
more LUTs, so that a device holds fewer such cores.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hw.spec import resources
from hw.spec.config import EPILOGUE_WORDS, MOST_NEIGHBOURS, SvpeConfig
from qnn.compiler.estimate import array_cycles
from qnn.ir.graph import Graph

# Of cycles times LUTs, what another core must save: both are estimates.
WORTH = 0.1


@dataclass(frozen=True)
class _Core:
    """A configuration with what a network takes of it, both estimated."""

    config: SvpeConfig
    cycles: int
    luts: int

    @property
    def cost(self) -> int:
        """What as many images a second take of a device."""
        return self.cycles * self.luts


def advice(graph: Graph, config: SvpeConfig) -> tuple[str, ...]:
    """A line that names the core that computes most for its LUTs; none if the given one is near."""
    if config.pe != "shift":  # the table of cells has no other
        return ()
    configs = [config, *_variants(config)]
    cycles = array_cycles(graph, configs)
    cores = [
        _Core(each, count, resources.total(each).lut)
        for each, count in zip(configs, cycles, strict=True)
    ]
    given, best = cores[0], min(cores, key=lambda core: core.cost)
    if best.cost > (1 - WORTH) * given.cost:
        return ()
    changes = " ".join(
        f"--set {name}={getattr(best.config, name)}"
        for name in ("epilogue_words", "neighbours")
        if getattr(best.config, name) != getattr(config, name)
    )
    return (
        f"{changes} suits it better: {_change(best.cycles, given.cycles)} cycles of the array in "
        f"{_change(best.luts, given.luts)} LUTs a core (both estimated)",
    )


def _variants(config: SvpeConfig) -> Iterator[SvpeConfig]:
    """The same array with other numbers of words and neighbours, of those that there are."""
    for words in EPILOGUE_WORDS:
        for neighbours in (0, MOST_NEIGHBOURS):
            if (words, neighbours) == (config.epilogue_words, config.neighbours):
                continue
            try:
                yield replace(config, epilogue_words=words, neighbours=neighbours)
            except ValueError:  # an array of too few columns, or lanes
                continue


def _change(new: int, old: int) -> str:
    share = f"{abs(new - old) / old:.0%}"
    return "as many" if share == "0%" else f"{share} {'fewer' if new < old else 'more'}"
