"""The registry of boards: each file in a family's folder ``boards`` is one board.

Listing them reads file names only, so that the command line can name them without delay; loading
one loads plain Python.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from qnn.errors import CompileError

if TYPE_CHECKING:
    from boards.board import Board

HERE = Path(__file__).parent
# A build for no board of a family is measured against this one of it.
REFERENCES = {"zynqmp": "zcu102", "ecp5": "ulx3s"}
TEXTS = (".v", ".tcl", ".xdc", ".lpf")  # files of a project that its check reads


def names() -> tuple[str, ...]:
    """The names of all boards, in alphabetical order."""
    return tuple(sorted(_families()))


def named(name: str) -> "Board":
    """The board called ``name``.

    Raises
    ------
    CompileError
        There is none.
    """
    family = _families().get(name)
    # Names come from the command line: a name of no board is a user's mistake, told in one line.
    if family is None:
        raise CompileError(f"board must be one of {', '.join(names())}, not '{name}'")
    return import_module(f"boards.{family}.boards.{name}").BOARD


def every() -> "list[Board]":
    """All boards, by name."""
    return [named(name) for name in names()]


def family(board: "Board") -> str:
    """The family that a board belongs to: the name of its package."""
    return _families()[board.name]


def reference(family: str = "zynqmp") -> "Board":
    """The board of ``family`` that a design for none of it is measured against."""
    return named(REFERENCES[family])


def board_of(build: Path) -> "Board | None":
    """The board that a build folder has a project of; None if it has none.

    Raises
    ------
    CompileError
        The project is no known board's.
    """
    # Two boards may share a part; the one whose name stands in the project has more evidence.
    found = max(every(), key=lambda board: board.evidence(build))
    if found.evidence(build):
        return found
    # A project of an unknown board is an error, not a build for none.
    for project in {board.project for board in every()}:
        if (build / project).is_file():
            raise CompileError(
                f"{build}: {project} is of no board that is known here; compile the model again"
            )
    return None


def shown(build: Path | None = None) -> "tuple[Board, ...]":
    """Boards whose results a build's report shows: its own, and the reference of other families."""
    own = build and board_of(build)
    others = [named(name) for name in REFERENCES.values() if not own or family(own) != _of(name)]
    return (own, *others) if own else tuple(others)


def counted_for(build: Path) -> "Board":
    """The board that counts of UltraScale+ cells of a build are set against."""
    return next(board for board in shown(build) if family(board) == "zynqmp")


def project_of(build: Path) -> "tuple[Board, dict[str, str]]":
    """The board of a build folder, and the texts of the folder's sources and scripts.

    Raises
    ------
    CompileError
        The folder has no board's project.
    """
    board = board_of(build)
    if board is None:
        raise CompileError(
            f"{build}: no project of a board is here; make one with 'qnn compile --board NAME'"
        )
    paths = [*build.glob("rtl/**/*.v"), *build.glob(f"{Path(board.project).parent}/*")]
    texts = {
        path.relative_to(build).as_posix(): path.read_text(errors="replace")
        # Sorted, so that findings come in the same order on every machine.
        for path in sorted(paths)
        if path.suffix in TEXTS
    }
    return board, texts


def _families() -> dict[str, str]:
    """The family of each board, by the board's name."""
    # File names alone, so that the command line need not import any board.
    files = HERE.glob("*/boards/*.py")
    return {path.stem: path.parts[-3] for path in files if path.stem != "__init__"}


def _of(name):
    return _families()[name]
