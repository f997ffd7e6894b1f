"""What cycles are in time: frames per second and milliseconds, at the clock that was chosen."""

from collections.abc import Mapping
from dataclasses import dataclass

from boards.board import Board


@dataclass(frozen=True)
class Pace:
    """The clock of a build, and how many cores it drives.

    Members
    -------
    clock_mhz : what was asked for, or the board's default
    why : whose clock it is
    """

    clock_mhz: float
    cores: int
    why: str

    def frames_per_second(self, cycles_per_image: float) -> float:
        """Images per second of all cores, none of which waits for another's memory."""
        # Cores compute images of their own; how they share the memory is the board's affair.
        return self.cores * self.clock_mhz * 1e6 / cycles_per_image

    def milliseconds(self, cycles: float) -> float:
        """The time of ``cycles`` of one core."""
        return cycles / (self.clock_mhz * 1e3)


def pace(board: Board, own: bool, estimate: Mapping | None) -> Pace:
    """The clock and the cores of a build.

    Parameters
    ----------
    board : the build's, or the one that stands for builds without
    own : whether it is the build's
    estimate : ``report/estimate_board_resources.json``, which some boards' builds have
    """
    asked = (estimate or {}).get("given_clock_mhz")
    # An estimate of another board's project would give this page another's clock.
    if own and estimate and asked:
        return Pace(asked, estimate["cores"], f"as its project for {board.title} asks")
    whose = "the board's clock" if own else "the default clock"
    return Pace(board.clock_mhz, 1, f"{whose} of {board.title}")
