"""Shows how artifacts differ from those that another checkout builds."""

import difflib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.replay.artifact import Artifact

MOST_LINES = 60  # of one artifact's difference


def shown_there(tree: Path, names: list[str], processes: int) -> dict[str, str]:
    """The shown texts of artifacts as the checkout ``tree`` builds them with its own replay."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.replay", "--write", folder]
        command += ["--jobs", str(processes), *names]
        environment = os.environ | {"PYTHONPATH": str(tree)}
        subprocess.run(command, cwd=tree, env=environment, check=True)
        return {
            path.relative_to(folder).as_posix().removesuffix(".shown"): path.read_text()
            for path in Path(folder).rglob("*.shown")
        }


def write_shown(artifacts: dict[str, Artifact], folder: Path) -> None:
    """One file for each artifact."""
    for name, artifact in artifacts.items():
        path = folder / f"{name}.shown"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(artifact.shown)


def difference(name: str, there: str, here: str) -> str:
    """A unified diff, cut where it is long."""
    lines = list(
        difflib.unified_diff(
            there.splitlines(), here.splitlines(), f"there/{name}", f"here/{name}", "", "", 2, ""
        )
    )
    more = [f"... and {len(lines) - MOST_LINES} lines more"] if len(lines) > MOST_LINES else []
    return "\n".join([*lines[:MOST_LINES], *more])
