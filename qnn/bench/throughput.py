"""Frames per second of networks on one core and on a board's four, beside what they should reach.

Cycles are the cycle model's, and are kept in a file; time is that of cycles at ``core_clock``, so
that a table is made again in a moment when the clock is another.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from qnn.bench.core_clock import mark, rate_clock
from qnn.bench.lines import append_line, whole_lines
from qnn.bench.machine import commit
from qnn.bench.network import measure, quantized_graph
from qnn.bench.throughput_cases import BOARD_MEMORY, ThroughputCase, memory_bytes_per_cycle
from qnn.errors import ModelError
from qnn.fields import FieldsError, parsed, typed

WHAT = "results"  # what the file holds, for errors


@dataclass(frozen=True, kw_only=True)
class ThroughputRow:
    """What a case takes (simulated), with no clock in it.

    Members
    -------
    fingerprint : of the core, so that results of another are not taken for its own
    values_compared : equal to the reference's, every one
    cycles_per_image : of all cores together, the last one's end
    memory_bytes_per_cycle : of the memory that all cores shared; None for no limit but their ports
    moved_bytes : of the memory, for an image
    """

    name: str
    batch: int
    fingerprint: str
    simulator: str
    memory_bytes_per_cycle: float | None
    values_compared: int
    cycles_per_image: float
    busy: float
    moved_bytes: float
    cold_latency_cycles: int
    commit: str | None


def run(cases: Sequence[ThroughputCase], path: Path, progress: Callable) -> list[ThroughputRow]:
    """A row of each case; new ones are added to the file, one line each.

    Raises
    ------
    ModelError
        A line of the file is no row.
    DeviceError
        A value differs from the reference.
    """
    found = known(cases, path)
    graphs = {}
    for done, case in enumerate(cases):
        progress(done, len(cases))
        # What was interrupted goes on where it was.
        if case.name in found:
            continue
        # Its weights are random, and the same for all of its cases.
        if case.model not in graphs:
            graphs[case.model] = quantized_graph(case.model, None, None, case.config.weight_bits)
        found[case.name] = _measured(case, *graphs[case.model])
        append_line(path, asdict(found[case.name]), WHAT)
    progress(len(cases), len(cases))
    return [found[case.name] for case in cases]


def known(cases: Sequence[ThroughputCase], path: Path) -> dict[str, ThroughputRow]:
    """The newest row of each case that the file has, of the core and the memory that it has now.

    Cycles of a slower memory hold, too: at a slower clock the board's moves more in a cycle.
    """
    rows = [_row(path, number, line) for number, line in whole_lines(path, WHAT)]
    # Of several the one whose memory is nearest; sorting keeps the order of those that are alike.
    rows.sort(key=lambda row: row.memory_bytes_per_cycle or 0)
    found = {}
    for case in cases:
        fit = [row for row in rows if row.name == case.name and _holds(row, case)]
        found |= {row.name: row for row in fit}
    return found


def _holds(row, case):
    if (row.batch, row.fingerprint) != (case.batch, mark(case.config)):
        return False
    # Without a memory that all share, only what was simulated without one is its own.
    if not case.board_memory:
        return row.memory_bytes_per_cycle is None
    moves = BOARD_MEMORY / rate_clock(case.config).hertz
    return row.memory_bytes_per_cycle is not None and row.memory_bytes_per_cycle <= moves


def _measured(case, graph, images):
    # A little less than the board's, so that the result holds when the clock is a little faster.
    memory = memory_bytes_per_cycle(case, rate_clock(case.config).hertz)
    cost = measure(
        graph,
        images,
        case.config,
        model=case.model,
        cores=case.cores,
        paths=case.paths,
        batch=case.batch,
        memory_bytes_per_cycle=memory,
    )
    return ThroughputRow(
        name=case.name,
        batch=case.batch,
        fingerprint=mark(case.config),
        simulator=cost.simulator,
        memory_bytes_per_cycle=memory,
        values_compared=cost.values_compared,
        cycles_per_image=cost.cycles_per_image,
        busy=cost.utilisation,
        moved_bytes=cost.moved_bytes_per_image,
        cold_latency_cycles=cost.cold_latency_cycles,
        commit=commit(),
    )


def _row(path, number, line):
    try:
        return typed(ThroughputRow, parsed(line))
    except FieldsError as error:
        raise ModelError(
            f"results {path} need one case a line, but line {number} is none: {error}; remove it, "
            f"or choose another file with --out"
        ) from None


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """A row in time, at the low end of its core's clock (estimated).

    Members
    -------
    memory_share : of the board's bytes a second that the cores move
    """

    frames_per_second: float
    cold_milliseconds: float
    memory_share: float
    clock_mhz: float

    @staticmethod
    def of(case: ThroughputCase, row: ThroughputRow) -> "Throughput":
        """The time that the cycles of ``row`` take."""
        clock = rate_clock(case.config)
        rate = clock.hertz / row.cycles_per_image
        return Throughput(
            frames_per_second=rate,
            cold_milliseconds=1e3 * row.cold_latency_cycles / clock.hertz,
            memory_share=rate * row.moved_bytes / BOARD_MEMORY,
            clock_mhz=clock.low_mhz,
        )
