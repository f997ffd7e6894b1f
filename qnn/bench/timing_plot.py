"""Picture of a timing analysis: how many ends of paths have how much time left."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qnn.bench.pictures import axes, save

if TYPE_CHECKING:
    from qnn.eda.timing.analysis import TimingResult


def write_plot(found: "Mapping[str, TimingResult]", path: Path) -> None:
    """Write ``path``, a .png, with a line for each of the designs by name.

    Raises
    ------
    ModelError
        The folder cannot be written.
    """
    figure, place = axes(7.5, 4.5)
    for name, timing in found.items():
        bounds, ends = timing.slack
        clock = f"{timing.clock_mhz_low:.0f} to {timing.clock_mhz_high:.0f} MHz"
        place.stairs(ends, bounds, label=f"{name}: {clock}", linewidth=1.5)
    place.set_yscale("symlog", linthresh=1)
    place.set_xlabel("slack at the lower end of the clock's interval, in ns (estimated)")
    place.set_ylabel("ends of paths")
    place.set_title("how much time paths have left", loc="left")
    place.legend(frameon=False, fontsize=8)
    save(figure, path)
