"""How many whole accelerators a device has room for, by the cells that Yosys counts."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import boards
from hw.spec.resources import USABLE_BRAM18, USABLE_LUT, Device
from qnn.bench.core_size import REFERENCE, SIZES, CoreSize, core_sizes
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


@dataclass(frozen=True)
class WholeCores:
    """What the reference core takes of the boards' device, and what cores of all sizes take."""

    shares: list[Share]
    sizes: list[CoreSize]

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        # A property is no field: asdict leaves it out.
        shares = [{**asdict(share), "fits": share.fits} for share in self.shares]
        return {"accelerators": shares, "cores": [asdict(size) for size in self.sizes]}


def measure(progress: Callable[[int, int], None]) -> WholeCores:
    """What Yosys counts of the reference core and of other sizes; takes minutes for each.

    Raises
    ------
    ToolError
        Yosys is not installed, or fails.
    """
    counted = {}
    for config in SIZES:
        progress(len(counted), len(SIZES))
        counted[config] = accelerator_resources(config)
    progress(len(SIZES), len(SIZES))
    reference = shares(counted[REFERENCE], boards.reference().device)
    return WholeCores(reference, core_sizes(counted))


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
