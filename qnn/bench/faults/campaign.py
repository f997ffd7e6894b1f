"""``qnn bench faults``: how many planted faults ``verify`` finds, and which layer it names."""

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from hw.spec.config import named_config
from qnn.bench.faults.carry_out import Progress, carry_out
from qnn.bench.faults.hardware import HardwareFaults
from qnn.bench.faults.outcome import PlantedFault
from qnn.bench.faults.outcome_file import OutcomeFile
from qnn.bench.faults.software import SoftwareFaults
from qnn.bench.faults.trials import FaultTrial
from qnn.design import compile
from qnn.ir.codes import Codes
from qnn.ir.graph import Graph
from qnn.ir.serialize import to_bytes
from sim.exercise import exercises

CONFIG = "test"  # as faults of logic are the same at any size


@dataclass(frozen=True)
class FaultCounts:
    """What became of all planted faults."""

    outcomes: tuple[PlantedFault, ...]

    def to_fields(self) -> dict:
        """Counts, and the faults that nothing found."""
        return {
            "planted": len(self.outcomes),
            "found": sum(outcome.found is not None for outcome in self.outcomes),
            "localised": sum(outcome.localised for outcome in self.outcomes),
            "equivalent": sum(outcome.equivalent for outcome in self.outcomes),
            "found_by_tests": sum(each.found_by_test is not None for each in self.outcomes),
            "survivors": [asdict(outcome) for outcome in self.survivors],
        }

    @property
    def survivors(self) -> list[PlantedFault]:
        """Faults that nothing found and that are not proved to change nothing."""
        return [each for each in self.outcomes if each.survives]


def hardware(count: int, seed: int, report: Progress, kept: OutcomeFile) -> FaultCounts:
    """Faults of the Verilog of the configuration ``test``, found by RTL simulation."""
    # The first is on chip and quick; the others are tried where it finds nothing.
    graph, batch, x = next(_networks(seed))
    with tempfile.TemporaryDirectory(prefix="qnn-faults-") as work:
        design = compile(graph, CONFIG, batch)
        codes = tuple(each.view(Codes) for each in x)
        faults = HardwareFaults(design, codes, count, seed, Path(work))
        return FaultCounts(tuple(carry_out(faults, kept, report)))


def software(count: int, seed: int, report: Progress, kept: OutcomeFile) -> FaultCounts:
    """Faults of compiler, functional simulator and reference, found by the functional device."""
    trials = [FaultTrial(to_bytes(graph), CONFIG, x, batch) for graph, batch, x in _networks(seed)]
    return FaultCounts(tuple(carry_out(SoftwareFaults(trials, count, seed), kept, report)))


def _networks(seed) -> Iterator[tuple[Graph, int, tuple[np.ndarray, ...]]]:
    """The networks that reach what an instruction can say, with two images each."""
    numbers = np.random.default_rng(seed)
    for _, graph, batch in exercises(named_config(CONFIG), seed):
        yield graph, batch, tuple(_drawn(source, batch, numbers) for source in graph.inputs)


def _drawn(source, count, numbers):
    low, high = source.type.low, source.type.high
    return numbers.integers(low, high + 1, (count, *source.shape))
