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
from qnn.errors import CompileError
from qnn.fields import FieldsError, parsed, typed
from qnn.files import read_note, write_whole
from qnn.manifest import NAME as MANIFEST
from qnn.manifest import RESULT_OF as OF
from qnn.manifest import RESULTS as FOLDER


@dataclass(frozen=True)
class KeptSlack:
    """The histogram of a timing analysis, as its result has it."""

    estimated_bounds_ns: list[float]
    estimated_ends: list[float]


@dataclass(frozen=True)
class KeptPath:
    """A path of a timing analysis, as its result has it."""

    begin: str
    end: str
    estimated_ns: float
    estimated_cells_ns: float
    estimated_nets_ns: float
    estimated_levels: float
    estimated_alike: float


MARKS = ("measured", "simulated", "estimated", "given")
NEEDED: dict[str, dict[str, object]] = {  # beginning of a name: what a result of it has
    "verify_": {
        "passed": bool,
        "failure": str | None,
        "simulated_mismatches": int,
        "simulated_values_compared": int,
    },
    "simulate_": {"device": str, "given_images": int},
    "timing_": {
        "device": str,
        "speed_grade": str,
        "estimated_low_mhz": float,
        "estimated_high_mhz": float,
        "slack": KeptSlack,
        "paths": list[KeptPath],
    },
    "synth_": {"measured_cells": dict[str, float]},
    **{
        f"synth_{name}": {"given_clock_mhz": float, "estimated_fmax_mhz": float}
        for name in boards.names()
    },
}
CELLS = ("measured_cells", "given_available_cells")  # by kind; nothing else is an object of numbers


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
            # Under a key with a mark, all numbers were got as it says.
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
    # Before anything is written: a number without its mark is a mistake of ours.
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
            values = parsed(read_note(path))
        # Broken, or no file: the page shows what is whole.
        except (OSError, FieldsError):
            continue
        # Other tools write JSON into the folder too; ours name the image that they are of.
        if isinstance(values, dict) and isinstance(values.get(OF), str):
            digest = values.pop(OF)
            if _whole(path.stem, values):
                records[path.stem] = Record(path.stem, values, digest != current)
    return records


def _whole(name, values):
    """Whether a file has what its name promises, and every number its mark."""
    # A name may have several beginnings, each with what it promises.
    needed = [kinds for start, kinds in NEEDED.items() if name.startswith(start)]
    try:
        check_marks(values)
        for key, value in values.items():
            # Of cells there is a number for each kind.
            if key.startswith(MARKS):
                typed(dict[str, float] if key in CELLS else float, value)
        # Pages format and compare these: what is missing or of another kind would end a report.
        for key, kind in (item for kinds in needed for item in kinds.items()):
            typed(kind, values[key])
    except (KeyError, ValueError):
        return False
    return True


def image_digest(build: Path) -> str:
    """The image's hash, from the build folder's manifest.

    Raises
    ------
    CompileError
        The folder has no manifest that names one.
    """
    path = build / MANIFEST
    # Of this one entry alone, as a folder of results need not hold a whole build.
    try:
        found = parsed(read_note(path))
        return typed(dict[str, str], typed(dict, found).get("files"))["image.bin"]
    except (OSError, KeyError, FieldsError):
        raise CompileError(
            f"{path}: results need the hash of their image, but this names none; compile the model "
            f"again"
        ) from None
