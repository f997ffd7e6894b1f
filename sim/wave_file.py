"""The file of waves that an RTL simulation records: its plusargs, and its way to the user."""

from pathlib import Path

from qnn.backend.waves import Waves
from qnn.errors import ToolError
from qnn.files import write_whole


def wave_arguments(waves: Waves, work: Path) -> list[str]:
    """The plusargs of ``testbench.sv`` for recording into the folder ``work``."""
    return [f"waves={_recorded(waves, work)}", f"first={waves.first}", f"last={waves.last}"]


def keep_waves(waves: Waves, work: Path) -> None:
    """Bring what was recorded in ``work`` to its place.

    Raises
    ------
    ToolError
        Nothing was recorded.
    """
    recorded = _recorded(waves, work)
    if not recorded.is_file():
        raise ToolError(
            f"{waves.file}: the simulation ended before cycle {waves.first:,}, and recorded no "
            f"waves; take more cycles"
        )
    write_whole(waves.file, recorded.read_bytes())


def _recorded(waves, work):
    return work / f"waves.{waves.format}"
