"""The manifest of a build folder: what the folder is, and the hash of each of its files.

A name in it is that of a regular file inside the folder, however it is reached: nothing that a
manifest says makes its reader open anything else.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from qnn.errors import CompileError
from qnn.fields import Count, FieldsError, parsed, typed
from qnn.files import read_file, read_note

NAME = "manifest.json"
# Raised whenever an older qnn would read a new build folder wrongly.
FORMAT = 2
GRAPH, IMAGE = READ = ("graph.qgraph", "image.bin")  # files that a build cannot do without
# Results that commands leave in a build are tied to its image by this key.
RESULTS, RESULT_OF, PAGE = "report", "image_sha256", "report/index.html"
# Reports of a board's tool that were there when another design was written over theirs: they stay,
# and are not read as results of the new one.
EARLIER = f"{RESULTS}/of_earlier_design.json"
REPORTS = ".rpt"  # ends the names of such reports


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a build says of itself.

    Members
    -------
    tools : versions by name; None for one that was not installed
    files : SHA-256 of each file, by its name in the folder
    facts : further ones, which the back end states of its artifact
    """

    format: int
    backend: str
    batch: Count
    tools: dict[str, str | None]
    files: dict[str, str]
    facts: dict[str, object]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a build folder.

    Raises
    ------
    CompileError
        Not a build folder, of another format, or its manifest is not what a build has.
    """
    path = folder / NAME
    try:
        found = parsed(read_note(path))
        built = isinstance(found, dict)
    except (OSError, FieldsError):
        built = False
    if not built:
        raise CompileError(
            f"{folder}: not a build folder; make one with 'qnn compile' or Design.write"
        )
    if found.get("format") != FORMAT:
        raise CompileError(
            f"{folder}: a build of format {found.get('format')}, but this qnn reads {FORMAT}; "
            f"compile the model again"
        )
    files = found.get("files")
    if not isinstance(files, dict) or not files:
        raise CompileError(
            f"{path}: a build needs its list of files, but this names none; compile the model again"
        )
    try:
        manifest = typed(Manifest, _with_facts(found))
        for name in manifest.files:
            _check_name(name)
    except FieldsError as error:
        raise CompileError(f"{path}: {error}; compile the model again") from None
    return manifest


def file_inside(folder: Path, name: str) -> bytes | None:
    """The content of a file of a build; None if it is missing, not regular, or lies elsewhere.

    A link inside the folder may not lead out of it.
    """
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return None
        return read_file(path)
    except (OSError, RuntimeError):  # the second: links that lead in a circle
        return None


def held_files(folder: Path, manifest: Manifest) -> Iterator[tuple[str, bytes | None]]:
    """Name and content of each file of a build; None for one that is missing or altered."""
    # Those that a build cannot do without first, also where the manifest does not name them.
    for name in dict.fromkeys((*READ, *manifest.files)):
        # Read once: what is used is what was held to the manifest.
        data = file_inside(folder, name)
        is_held = data is not None and digest(data) == manifest.files.get(name)
        yield name, data if is_held else None


def digest(data: bytes) -> str:
    """The SHA-256 of a file's content, as a manifest has it."""
    return hashlib.sha256(data).hexdigest()


def _with_facts(found: Mapping) -> dict:
    known = [name for name in Manifest.__dataclass_fields__ if name != "facts"]
    facts = {name: value for name, value in found.items() if name not in known}
    return {name: found[name] for name in known if name in found} | {"facts": facts}


def _check_name(name):
    path = PurePosixPath(name)
    plain = str(path) == name and not path.is_absolute() and ".." not in path.parts
    # The null character ends a name for the system, and no file can have it.
    if not plain or name in (".", NAME) or "\0" in name:
        raise FieldsError("names of files inside the folder", repr(name), ("files",))


def is_result(name: str, path: Path) -> bool:
    """Whether a file of a build is a result that a command left there, or the page of them."""
    if name == PAGE:
        return True
    if not (name.startswith(f"{RESULTS}/") and name.endswith(".json")):
        return False
    try:
        found = parsed(read_note(path))
    except (OSError, FieldsError):
        return False
    return isinstance(found, dict) and RESULT_OF in found


def earlier_reports(folder: Path) -> dict[str, str]:
    """Hashes of the reports in a build folder that are of an earlier design, by name."""
    try:
        return typed(dict[str, str], parsed(read_note(folder / EARLIER)))
    except (OSError, FieldsError):
        return {}


def tool_reports(folder: Path) -> dict[str, str]:
    """Hashes of all reports of tools in a build folder, by name."""
    found = {}
    for path in sorted(folder.rglob(f"*{REPORTS}")):
        name = path.relative_to(folder).as_posix()
        data = file_inside(folder, name)
        if data is not None:
            found[name] = digest(data)
    return found
