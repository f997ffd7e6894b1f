"""How many whole accelerators a device has room for, by the cells that Yosys counts."""

from dataclasses import dataclass

import boards
from hw.spec.config import SvpeConfig, named_config
from hw.spec.resources import USABLE_BRAM18, USABLE_LUT, Device
from qnn.eda.synthesis import Resources, accelerator_resources

CORES = (1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class Share:
    """The share of a device that some cores take; LUTs are counted before and after packing."""

    cores: int
    lut: float
    lut_packed: float
    ff: float
    bram: float
    dsp: float

    @property
    def fits(self) -> bool:
        """Whether there is room, with every LUT cell counted as one."""
        return (
            self.lut <= USABLE_LUT and self.bram <= USABLE_BRAM18 and self.dsp <= 1 and self.ff <= 1
        )


def measure(config: SvpeConfig | None = None) -> list[Share]:
    """Shares of one to four accelerators, of the reference size unless told; takes minutes.

    Raises
    ------
    ToolError
        Yosys is not installed, or fails.
    """
    cells = accelerator_resources(config or named_config("reference"))
    return shares(cells, boards.reference().device)


def shares(cells: Resources, device: Device) -> list[Share]:
    """Shares of ``device`` that one to four times ``cells`` take (estimated)."""
    # Packing joins small LUTs alone: shift registers and memories stay.
    packed = cells.lut_sites - cells.lut + cells.lut_packed
    return [
        Share(
            cores=cores,
            lut=cores * cells.lut_sites / device.lut,
            lut_packed=cores * packed / device.lut,
            ff=cores * cells.ff / device.ff,
            bram=cores * cells.bram18 / device.bram18,
            dsp=cores * cells.dsp / device.dsp,
        )
        for cores in CORES
    ]
