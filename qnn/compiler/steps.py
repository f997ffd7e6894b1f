"""What one tile of a layer takes: steps of the array for each instruction, and cycles."""

from collections import Counter

from hw.spec.config import SvpeConfig
from qnn.compiler.neighbours import steps_of_row
from qnn.compiler.segments import Segments, blocks_read, groups, passes
from qnn.compiler.terms import terms_of
from qnn.ir.ops import Operator

Steps = Counter[int]  # how many instructions take so many steps for each tile


def steps(
    node: Operator,
    operand: Segments,
    result: Segments,
    config: SvpeConfig,
    neighbours: int = 0,
) -> Steps:
    """How many instructions of ``node`` take each number of steps per tile."""
    taps = node.window.kernel[0] * len(steps_of_row(node.window, neighbours))
    if node.takes_maximum:
        return Counter(taps for _ in groups(operand, config.lanes, config.lanes))
    return Counter(
        taps
        * len(terms_of(node, share, config))
        * len(blocks_read(node, share, operand, config.lanes))
        + (node.skip is not None)
        for share in groups(result, config.lanes, config.rows)
    )


def tile_cycles(node: Operator, columns: int, steps: Steps, config: SvpeConfig) -> int:
    """Estimate for one tile of all channels: steps, or its interval where that is longer.

    ``columns`` : pixels of the tile
    """
    least = interval(node, columns, config)
    return sum(count * max(each, least) for each, count in steps.items())


def interval(node: Operator, columns: int, config: SvpeConfig) -> int:
    """The least cycles between tiles: see ``hw.spec.isa.tiles.Tiles.least_interval``."""
    return max(passes(node, config) * -(-columns // config.epilogue_words), config.turns)
