"""How much a whole core computes for each LUT, and what cores of other sizes would.

The reference core is counted by Yosys. Others are estimated by ``hw.spec.resources``, whose table
is fitted to such counts; the reference core has both, so that one sees how far that is off.
"""

from dataclasses import dataclass, replace

from hw.spec.config import SvpeConfig, named_config
from hw.spec.resources import total
from qnn.bench.core_clock import rate_clock
from qnn.eda.synthesis import Resources

REFERENCE = named_config("reference")
SIZES = (  # of cores that are not the reference core
    {"columns": 16},
    {"lanes": 32},
    {"lanes": 32, "rows": 32, "columns": 4},
    {"epilogue_words": 2, "neighbours": 2},
    {"epilogue_words": 4, "neighbours": 2},
)


@dataclass(frozen=True, kw_only=True)
class CoreSize:
    """A whole core, its memories and interfaces included.

    Members
    -------
    counted : by Yosys; otherwise ``lut`` is estimated
    lut : every LUT cell as one
    gops_per_klut : two operations a lane and cycle, at the low end of the clock, for 1,000 LUTs
    """

    core: str
    lanes: int
    counted: bool
    lut: int
    lut_per_lane: float
    gops_per_klut: float

    @staticmethod
    def of(config: SvpeConfig, lut: int, counted: bool) -> "CoreSize":
        """A core of so many LUTs."""
        lanes = config.lanes * config.rows * config.columns
        return CoreSize(
            core=str(config),
            lanes=lanes,
            counted=counted,
            lut=lut,
            lut_per_lane=lut / lanes,
            gops_per_klut=2 * lanes * rate_clock(config).hertz / 1e6 / lut,
        )


def core_sizes(counted: Resources) -> list[CoreSize]:
    """The reference core, of which these cells were counted, and others by estimate."""
    # The reference core again, as the measure of how far estimates are off.
    estimated = [REFERENCE, *(replace(REFERENCE, **sizes) for sizes in SIZES)]
    return [
        CoreSize.of(REFERENCE, counted.lut_sites, counted=True),
        *(CoreSize.of(config, total(config).lut, counted=False) for config in estimated),
    ]
