"""Figures and their files, without matplotlib's global state."""

import io
from importlib.util import find_spec
from pathlib import Path

from qnn.bench import files
from qnn.errors import ToolError

DOTS = 150  # an inch


def check(command: str, option: str) -> None:
    """Refuse an option of ``qnn bench`` that draws where matplotlib is missing.

    Raises
    ------
    ToolError
        It is.
    """
    if find_spec("matplotlib") is None:
        raise ToolError(
            f"bench {command} needs matplotlib for {option}, but it is missing; run pip install "
            "'qnn[bench]'"
        )


def axes(width: float, height: float):
    """A figure of some inches, and its axes."""
    # Not pyplot, which keeps every figure and may open a window.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=DOTS, layout="constrained")
    FigureCanvasAgg(figure)
    place = figure.add_subplot()
    place.spines[["top", "right"]].set_visible(False)
    place.grid(axis="y", color="#dddddd", linewidth=0.7)
    place.set_axisbelow(True)
    return figure, place


def save(figure, path: Path) -> Path:
    """Write a figure as .png.

    Raises
    ------
    ModelError
        The folder cannot be written.
    """
    data = io.BytesIO()
    figure.savefig(data, format="png")
    files.write(path, data.getvalue())
    return path
