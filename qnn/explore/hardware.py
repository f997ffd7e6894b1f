"""What a network costs on the hardware of a point: cycles, cells and energy."""

from collections.abc import Mapping

from hw.spec.resources import total
from qnn.bench.core_clock import rate_clock
from qnn.bench.throughput_cases import BOARD_MEMORY, MEMORY_STEP
from qnn.design import compile
from qnn.explore.energy import energy
from qnn.explore.evaluation import Figure, Mark
from qnn.explore.point import ClockInterval, Point
from qnn.ir.graph import Graph
from sim.cycles import simulate_cores

# By how much Yosys may count more cells than estimated. For whole cores it is under 4 %
# (``docs/explore.md``), but single blocks that coefficients are fitted to are off by more.
LUT_ERROR, FF_ERROR = 0.08, 0.1
# Of a network whose codes are nearest ones: rounding by data leaves out other last terms.
CODE_ERROR = 0.02


def hardware(point: Point, graph: Graph, *, nearest: bool = False) -> dict[str, Figure]:
    """Figures of ``graph`` on the point's cores, one image on each at a time.

    Parameters
    ----------
    nearest : whether the codes of the graph are nearest ones, and not the design's own

    Raises
    ------
    CompileError
        The network does not fit the cores; the text says what to change.
    """
    config = point.config(graph)
    # One image a run: a batch takes up to 2 % fewer cycles of each, and more time to model.
    image = compile(graph, config=config).artifact
    clock = point.clock or estimated_clock(point)
    # A little less than the board's, so that rates hold where the clock is a little faster.
    memory = int(BOARD_MEMORY / (1e6 * clock.low)) // MEMORY_STEP * MEMORY_STEP
    timings = simulate_cores(
        image, point.cores, paths=point.cores, memory_bytes_per_cycle=memory or MEMORY_STEP
    )
    # Frames are done when the last core is.
    cycles = max(timing.cycles for timing in timings) / point.cores
    # All cores compute the same, so that one stands for an image.
    steps = sum(layer.spent.issue for layer in timings[0].layers)
    moved = sum(timing.moved_bytes for timing in timings) / point.cores
    error = CODE_ERROR if nearest else 0.0
    return {
        "cycles": Figure(cycles, (1 - error) * cycles, (1 + error) * cycles, Mark.SIMULATED),
        "fps": Figure(
            # What one may count on, and not what is expected.
            1e6 * clock.low / cycles,
            1e6 * clock.low / cycles / (1 + error),
            1e6 * clock.high / cycles / (1 - error),
            Mark.ESTIMATED,
        ),
        "energy": energy(config, steps, moved),
        **cells(total(config).times(point.cores)),
    }


def cells(found) -> Mapping[str, Figure]:
    """LUTs, flip-flops and half block RAMs, which memories' shapes decide."""
    return {
        "lut": Figure.about(found.lut, LUT_ERROR * found.lut, Mark.ESTIMATED),
        "ff": Figure.about(found.ff, FF_ERROR * found.ff, Mark.ESTIMATED),
        "bram18": Figure.about(found.bram18, 0.0, Mark.ESTIMATED),
    }


def estimated_clock(point: Point) -> ClockInterval:
    """The interval that the timing analysis gives the core, or else one near it."""
    found = rate_clock(point.size)
    return ClockInterval(found.low_mhz, found.expected_mhz, found.high_mhz)
