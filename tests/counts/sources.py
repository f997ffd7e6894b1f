"""The texts that the counts are of: every Python file of the product, tests left out."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("hw", "qnn", "sim", "boards")


def sources() -> dict[str, str]:
    """The text of every source file, by its path."""
    paths = (path for top in TOPS for path in sorted((ROOT / top).rglob("*.py")))
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}
