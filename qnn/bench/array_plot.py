"""Picture of the array's table: LUTs of a lane, by kind of product."""

from collections.abc import Sequence
from pathlib import Path

from qnn.bench.array import Row, by_kind
from qnn.bench.pictures import axes, check, save

COLORS = {
    "shift": "#1f77b4",
    "multiply_lut": "#d62728",
    "multiply_dsp": "#888888",
    "multiply_dsp_packed": "#aaaaaa",
    "multiply_dsp_double": "#cccccc",
}


def write_plot(rows: Sequence[Row], path: Path) -> None:
    """Write ``path``, a .png.

    Raises
    ------
    ToolError
        matplotlib is not installed.
    ModelError
        The folder cannot be written.
    """
    check("array", "--plot")
    figure, place = axes(7.5, 5.6)
    # Cheapest on top within each width of activations: bars are drawn from below.
    shown = sorted(
        by_kind(rows).values(),
        key=lambda row: (row.activation_bits, row.lut_per_lane),
        reverse=True,
    )
    labels = [
        f"{row.pe.replace('_', ', ')}: {row.weight_bits} x {row.activation_bits} bits"
        + (f" + {row.dsp_per_lane:g} DSP" if row.dsp_per_lane else "")
        for row in shown
    ]
    bars = place.barh(
        labels, [row.lut_per_lane for row in shown], color=[COLORS[row.pe] for row in shown]
    )
    place.bar_label(bars, fmt="%.1f", padding=3, fontsize=7)
    place.tick_params(axis="y", labelsize=7)
    place.grid(visible=False, axis="y")
    place.grid(axis="x", color="#dddddd", linewidth=0.7)
    place.set_xlabel("LUTs of a lane, of the whole array (Yosys, UltraScale+)")
    place.set_title("weights x activations, by kind of product", loc="left")
    save(figure, path)
