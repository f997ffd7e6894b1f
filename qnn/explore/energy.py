"""The energy of an image, estimated: toggles of the array's lanes, and bytes of the memory.

What is left out is alike for all designs of one device and clock, or not known: leakage, the clock
net, control, and lanes that wait. So the estimate orders designs, and is no power to plan for.
"""

import json
from functools import cache
from math import sqrt
from pathlib import Path

from hw.spec.config import SvpeConfig
from qnn.bench.energy import ADD_32_BITS, FPGA_OVER_ASIC, TOGGLES_OF_AN_ADDITION
from qnn.explore.evaluation import Figure, Mark

TABLE = Path(__file__).with_name("toggles.json")
# A toggle of a net of the fabric in pJ: as much more than in a chip of 45 nm as logic takes more.
TOGGLE = ADD_32_BITS / TOGGLES_OF_AN_ADDITION * FPGA_OVER_ASIC
# This device is two generations younger, each of which halves what a toggle takes; and the factor
# of the fabric differs from circuit to circuit by two.
TOGGLE_RANGE = TOGGLE / 4, 2 * TOGGLE
# Of a DRAM, 1.3 to 2.6 nJ for 64 bits: Horowitz, "Computing's energy problem", ISSCC 2014.
BYTE_RANGE = 1300 / 8, 2600 / 8  # pJ
BYTE = sqrt(BYTE_RANGE[0] * BYTE_RANGE[1])


def lane_toggles(weight_bits: int, activation_bits: int) -> float:
    """Toggles of a lane in a cycle in which it computes, by a line between simulated widths."""
    found = _table()[str(weight_bits)]
    widths = sorted(map(int, found))
    if len(widths) == 1:
        # Of codes that were simulated at one width, in proportion to those of three bits.
        usual = lane_toggles(3, activation_bits) / lane_toggles(3, widths[0])
        return found[str(widths[0])] * usual
    # Beyond the widths that were simulated, the nearest line goes on.
    low = max((w for w in widths[:-1] if w <= activation_bits), default=widths[0])
    high = next(w for w in widths if w > low)
    slope = (found[str(high)] - found[str(low)]) / (high - low)
    return found[str(low)] + slope * (activation_bits - low)


def energy(config: SvpeConfig, steps: float, moved_bytes: float) -> Figure:
    """Microjoules of an image.

    Parameters
    ----------
    steps : cycles in which the lanes of one core compute, of an image
    moved_bytes : from and to memory, of an image
    """
    lanes = config.lanes * config.rows * config.columns
    toggles = steps * lanes * lane_toggles(config.weight_bits, config.activation_bits)

    def of(toggle, byte):
        return 1e-6 * (toggles * toggle + moved_bytes * byte)

    low, high = (of(*each) for each in zip(TOGGLE_RANGE, BYTE_RANGE, strict=True))
    return Figure(of(TOGGLE, BYTE), low, high, Mark.ESTIMATED)


@cache
def _table() -> dict[str, dict[str, float]]:
    return json.loads(TABLE.read_text())["toggles"]
