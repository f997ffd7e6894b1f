"""Results that stay in a build folder: one JSON file each, tied to the image that they are of.

Every number's key begins with how it was got: ``measured``, ``simulated`` or ``estimated``, or
``given`` for what was asked or is a fact of a board; its unit is in the key. A file of another
image is stale, and says so.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import boards
from qnn.files import write_whole

FOLDER = "report"
MARKS = ("measured", "simulated", "estimated", "given")
NEEDED = {  # beginning of a name: keys without which a file is no result
    "verify_": ("passed", "failure", "simulated_mismatches", "simulated_values_compared"),
    "simulate_": ("device", "given_images"),
    "synth_": ("measured_cells",),
    **{f"synth_{name}": ("given_clock_mhz", "estimated_fmax_mhz") for name in boards.names()},
}
OF = "image_sha256"  # of image.bin, as the manifest has it


@dataclass(frozen=True)
class Record:
    """One result that a command left in a build folder.

    Members
    -------
    name : of the file
    values : by key
    stale : whether it is of another image than the build folder's
    """

    name: str
    values: Mapping[str, object]
    stale: bool


def check_marks(values: Mapping[str, object], where: str = "") -> None:
    """See that every number has its mark.

    Raises
    ------
    ValueError
        One has not; the text names its key.
    """
    for key, value in values.items():
        if isinstance(value, Mapping):
            if not key.startswith(MARKS):
                check_marks(value, f"{where}{key}.")
        # A truth value is a verdict, not a number that was got somehow.
        elif isinstance(value, int | float) and not isinstance(value, bool):
            if not key.startswith(MARKS):
                raise ValueError(
                    f"report: a number's key must begin with one of {', '.join(MARKS)}, "
                    f"not '{where}{key}'"
                )


def keep(build: Path, name: str, values: Mapping[str, object]) -> Path:
    """Write ``report/NAME.json`` in the build folder, whole.

    Raises
    ------
    ValueError
        A number has no mark.
    OSError
        The folder is not writable.
    """
    check_marks(values)
    path = build / FOLDER / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    write_whole(path, text({OF: image_digest(build), **values}))
    return path


def text(values: Mapping[str, object]) -> str:
    """The values as JSON, the same bytes for the same values."""
    # Sorted and indented: such files are compared and read.
    return json.dumps(values, indent=2, sort_keys=True) + "\n"


def read(build: Path) -> dict[str, Record]:
    """All results that ``keep`` wrote, by name; other files of the folder are left out."""
    # Once for all files of the folder.
    current = image_digest(build)
    records = {}
    for path in sorted((build / FOLDER).glob("*.json")):
        try:
            values = json.loads(path.read_bytes())
        except ValueError:
            continue
        # Other tools write JSON into the folder too; ours name the image that they are of.
        if isinstance(values, dict) and isinstance(values.get(OF), str):
            digest = values.pop(OF)
            if _whole(path.stem, values):
                records[path.stem] = Record(path.stem, values, digest != current)
    return records


def _whole(name, values):
    """Whether a file has what its name promises, and every number its mark."""
    needed = [key for start, keys in NEEDED.items() if name.startswith(start) for key in keys]
    try:
        check_marks(values)
    except ValueError:
        return False
    return all(key in values for key in needed)


def image_digest(build: Path) -> str:
    """The image's hash, from the build folder's manifest."""
    return json.loads((build / "manifest.json").read_bytes())["files"]["image.bin"]
