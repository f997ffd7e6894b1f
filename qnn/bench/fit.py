"""How many whole accelerators a ZCU102 has room for, by the cells that Yosys counts."""

from dataclasses import dataclass

from hw.spec.config import SvpeConfig, named_config
from qnn.bench.array import DEVICE_DSPS, DEVICE_FFS, DEVICE_LUTS, USABLE
from sim.synthesis import Resources, accelerator_resources

DEVICE_RAMS = 1_824  # half block RAMs of 18 Kbit (AMD DS891)
USABLE_RAMS = 0.9
CORES = (1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class Share:
    """Of the device, for some cores: LUTs with every cell as one, and after Yosys's packing."""

    cores: int
    lut: float
    lut_packed: float
    ff: float
    bram: float
    dsp: float

    @property
    def fits(self) -> bool:
        """Whether there is room, with every LUT cell counted as one."""
        return self.lut <= USABLE and self.bram <= USABLE_RAMS and self.dsp <= 1 and self.ff <= 1


def measure(config: SvpeConfig | None = None) -> list[Share]:
    """Shares of one to four accelerators, of the reference size unless told; takes minutes.

    Raises
    ------
    ToolError
        Yosys is not installed, or fails.
    """
    return shares(accelerator_resources(config or named_config("reference")))


def shares(cells: Resources) -> list[Share]:
    """Shares of the device that one to four times ``cells`` take (estimated)."""
    packed = cells.lut_sites - cells.lut + cells.lut_packed
    return [
        Share(
            cores=cores,
            lut=cores * cells.lut_sites / DEVICE_LUTS,
            lut_packed=cores * packed / DEVICE_LUTS,
            ff=cores * cells.ff / DEVICE_FFS,
            bram=cores * cells.bram18 / DEVICE_RAMS,
            dsp=cores * cells.dsp / DEVICE_DSPS,
        )
        for cores in CORES
    ]
