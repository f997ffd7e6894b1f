"""The accepted artifacts, as text files with one sorted line for each."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "accepted"


@dataclass(frozen=True)
class Changes:
    """Names of artifacts that are not as accepted."""

    differ: list[str]
    missing: list[str]
    new: list[str]

    def __bool__(self) -> bool:
        return bool(self.differ or self.missing or self.new)


def read(folder: Path | None = None) -> dict[str, str]:
    """Name of each artifact to its summary."""
    paths = sorted((folder or FOLDER).glob("*.txt"))
    lines = [line for path in paths for line in path.read_text().split("\n")]
    return dict(line.split(" ", 1) for line in lines if line)


def write(summaries: dict[str, str], folder: Path | None = None) -> None:
    """One file for each first part of a name."""
    folder = folder or FOLDER
    folder.mkdir(exist_ok=True)
    kinds: dict[str, list[str]] = {}
    for name, summary in sorted(summaries.items()):
        kinds.setdefault(name.partition("/")[0], []).append(f"{name} {summary}\n")
    for path in folder.glob("*.txt"):
        if path.stem not in kinds:
            path.unlink()
    for kind, lines in kinds.items():
        (folder / f"{kind}.txt").write_text("".join(lines))


def compare(accepted: dict[str, str], built: dict[str, str], whole: bool) -> Changes:
    """What differs; what was not built is missing only if the ``whole`` set was asked for."""
    differ = [name for name in built if name in accepted and built[name] != accepted[name]]
    missing = [name for name in accepted if whole and name not in built]
    return Changes(sorted(differ), sorted(missing), sorted(built.keys() - accepted.keys()))


def told(name: str, accepted: str, built: str) -> str:
    """One line about an artifact that differs; of an image, also which parts do."""
    if "refused: " in (accepted + built):
        return f"{name}: {accepted} -> {built}"
    before, after = accepted.split(" ")[1:], built.split(" ")[1:]
    parts = [f"{a} -> {b}" for a, b in zip(before, after, strict=False) if a != b]
    return f"{name}: differs" + (f" in {', '.join(parts)}" if parts else "")
