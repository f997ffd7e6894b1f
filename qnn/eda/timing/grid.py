"""The grid of a device: where its slices, block memories and DSP blocks are."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from qnn.errors import ToolError

FILE = Path(__file__).parent / "data" / "xczu9eg.json"
COLUMN = 2.5  # rows that nets are as long over as over a column, by the model of nets
FULLEST = 0.9  # share of a region's block memories and DSP blocks that a design may take


@dataclass(frozen=True)
class Grid:
    """Sites of a device, in columns and rows of slices.

    The processor takes the lower left corner, in which there are no sites.

    Members
    -------
    block, dsp : the places of the columns, between those of slices, and the sites in each
    """

    device: str
    columns: int
    rows: int
    processor: tuple[int, int]
    block: tuple[tuple[float, ...], int]
    dsp: tuple[tuple[float, ...], int]

    @staticmethod
    def load() -> "Grid":
        """The grid of the device that the analysis places netlists on."""
        held = json.loads(FILE.read_text())
        return Grid(
            held["device"],
            held["columns"],
            held["rows"],
            (held["processor"]["columns"], held["processor"]["rows"]),
            *((tuple(held[kind]["at"]), held[kind]["rows"]) for kind in ("block", "dsp")),
        )

    @cached_property
    def slices(self) -> np.ndarray:
        """(slices, 2) column and row of each."""
        x, y = np.meshgrid(np.arange(self.columns), np.arange(self.rows), indexing="ij")
        free = (x >= self.processor[0]) | (y >= self.processor[1])
        return np.stack([x[free], y[free]], axis=1)

    def is_memory(self, column):
        """Whether LUTs of a column of slices can be memories: every second column, an estimate."""
        return column % 2 == 0

    def sites(self, kind: str) -> np.ndarray:
        """(sites, 2) places of the sites of ``block`` or ``dsp``."""
        at, count = getattr(self, kind)
        step = self.rows / count
        # The middle of each site, as nets go there from all sides.
        x, y = np.meshgrid(at, (np.arange(count) + 0.5) * step - 0.5, indexing="ij")
        places = np.stack([x.ravel(), y.ravel()], axis=1)
        free = (places[:, 0] >= self.processor[0]) | (places[:, 1] >= self.processor[1])
        return places[free]

    def region(self, slices: float, blocks: int, dsps: int) -> tuple[int, int, int, int]:
        """First column and row, and last ones, of a rectangle that has so many sites.

        It stands beside the processor and goes up; what needs more takes the whole device.

        Raises
        ------
        ToolError
            The device has not as many.
        """
        needed = {"slices": slices, "block memories": blocks, "DSP blocks": dsps}
        # Beside the processor columns go through from the bottom to the top.
        right = (self.processor[0], self.columns - 1)
        for low, high in (right, (0, self.columns - 1)):
            for top in range(19, self.rows, 20):
                bounds = (low, 0, high, top)
                found = self._inside(bounds)
                if all(count <= found[kind] for kind, count in needed.items()):
                    return bounds
        found = self._inside((0, 0, self.columns - 1, self.rows - 1))
        kind = next(kind for kind, count in needed.items() if count > found[kind])
        raise ToolError(
            f"{self.device}: placing needs {needed[kind]:,.0f} {kind}, but the device has room for "
            f"{found[kind]:,.0f}; analyse a smaller configuration"
        )

    def _inside(self, bounds):
        counts = {
            "slices": self.slices,
            "block memories": self.sites("block"),
            "DSP blocks": self.sites("dsp"),
        }
        share = {"slices": 1.0, "block memories": FULLEST, "DSP blocks": FULLEST}
        return {kind: share[kind] * inside(sites, bounds).sum() for kind, sites in counts.items()}


def inside(places: np.ndarray, bounds: tuple[int, int, int, int]) -> np.ndarray:
    """Which of the places are in a rectangle, its edges included."""
    low, bottom, high, top = bounds
    x, y = places[:, 0], places[:, 1]
    return (x >= low) & (x <= high) & (y >= bottom) & (y <= top)
