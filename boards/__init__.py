"""The boards that a design can be built for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from hw.spec.config import SvpeConfig
from qnn.errors import CompileError

NAMES = ("zcu102", "ulx3s")


class Board(Protocol):
    """What a board adds to a build folder.

    Members
    -------
    name : as ``--board`` takes it
    config : name of the configuration that it has by default
    tool : what builds its bitstream
    project : file of a build folder by which its project is known
    """

    name: str
    config: str
    tool: str
    project: str

    def check_fits(self, config: SvpeConfig, cores: int, clock_mhz: float | None = None) -> None:
        """Refuse what the board has no room, no ports or no clock for.

        Raises
        ------
        CompileError
            The text has the numbers.
        """
        ...

    def files(
        self,
        config: SvpeConfig,
        built: Mapping[str, bytes],
        cores: int,
        clock_mhz: float | None = None,
    ) -> dict[str, bytes]:
        """Further files for the build folder, path to content; ``built`` is what is there."""
        ...

    def summary(self, config: SvpeConfig, cores: int, clock_mhz: float | None = None) -> str:
        """What was made, and how to build it, in one line."""
        ...

    def findings(self, files: Mapping[str, str]) -> list[str]:
        """What is wrong with the board's files in a build folder, a line each; none if all is well.

        Raises
        ------
        ToolError
            What they are checked with is missing on this machine.
        """
        ...


def named(name: str) -> Board:
    """The board called ``name``.

    Raises
    ------
    CompileError
        There is none.
    """
    if name == "zcu102":
        from boards.zcu102.board import Zcu102

        return Zcu102()
    if name == "ulx3s":
        from boards.ulx3s.board import Ulx3s

        return Ulx3s()
    raise CompileError(f"board must be one of {', '.join(NAMES)}, not '{name}'")


def project_of(build: Path) -> tuple[Board, dict[str, str]]:
    """The board of a build folder, and the texts of the folder's sources and scripts.

    Raises
    ------
    CompileError
        The folder has no board's project.
    """
    for board in map(named, NAMES):
        if (build / board.project).is_file():
            paths = [*build.glob("rtl/**/*.v"), *build.glob(f"{Path(board.project).parent}/*")]
            texts = {
                path.relative_to(build).as_posix(): path.read_text(errors="replace")
                for path in sorted(paths)
                if path.suffix in (".v", ".tcl", ".xdc", ".lpf")
            }
            return board, texts
    raise CompileError(
        f"{build}: no project of a board is here; make one with 'qnn compile --board NAME'"
    )
