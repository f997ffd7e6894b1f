"""How much a whole core computes for each LUT, of the reference core and of cores of other sizes.

Yosys counts the cells of each core, and ``hw.spec.resources`` estimates them without Yosys. Both
stand side by side, so that one sees how far the estimates are off.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hw.spec.config import SvpeConfig, named_config
from hw.spec.resources import total
from qnn.bench.core_clock import rate_clock
from qnn.eda.synthesis import Resources

REFERENCE = named_config("reference")
SIZES = (
    REFERENCE,
    *(
        replace(REFERENCE, **sizes)
        for sizes in (
            {"columns": 16},
            {"lanes": 32},
            {"lanes": 32, "rows": 32, "columns": 4},
            {"epilogue_words": 2, "neighbours": 2},
            {"epilogue_words": 4, "neighbours": 2},
        )
    ),
)


@dataclass(frozen=True, kw_only=True)
class CoreSize:
    """A whole core, its memories and interfaces included.

    Members
    -------
    lut : by Yosys, every LUT cell as one
    estimated_lut : by ``hw.spec.resources``
    clock : the MHz of its rates, and whether they are another core's, in words
    gops_per_klut : two operations per lane and cycle, at the low end of the clock, for 1,000 LUTs
    """

    core: str
    lanes: int
    lut: int
    estimated_lut: int
    lut_per_lane: float
    clock: str
    gops_per_klut: float

    @staticmethod
    def of(config: SvpeConfig, lut: int) -> "CoreSize":
        """A core of so many LUTs."""
        lanes = config.lanes * config.rows * config.columns
        clock = rate_clock(config)
        return CoreSize(
            core=str(config),
            lanes=lanes,
            lut=lut,
            estimated_lut=total(config).lut,
            lut_per_lane=lut / lanes,
            clock=clock.rated(config),
            gops_per_klut=2 * lanes * clock.hertz / 1e6 / lut,
        )


def core_sizes(counted: Mapping[SvpeConfig, Resources]) -> list[CoreSize]:
    """Every core of which the cells were counted."""
    return [CoreSize.of(config, cells.lut_sites) for config, cells in counted.items()]
