"""A ``.pt2`` file's members, whichever release of PyTorch wrote it: its program and its tensors."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qnn.archive_file import BROKEN_ARCHIVE, TORCH_RATIO, open_member
from qnn.errors import ModelError, PathError
from qnn.files import open_file

# The programs' schema since torch 2.6. A new major number says that older readers read it wrongly.
MAJOR = 8
MOST_BYTES = 1 << 31  # of a file; networks for this have some hundred million bytes at most
AGAIN = "export it again, or copy all of it"
# What tells other archives apart: how a member's name ends, what the file is then, what to do.
OTHERS = (
    (
        "constants.pkl",
        "TorchScript, which holds code",
        "give the module that it was scripted or traced from, as module:factory, or export that "
        "with torch.export",
    ),
    (
        ".so",
        "compiled by AOTInductor",
        "save the program that it was compiled from, with torch.export.save",
    ),
    (
        "data.pkl",
        "a checkpoint of weights",
        "give its model as module:factory, and the file with --checkpoint",
    ),
)


@dataclass(frozen=True)
class Pt2Archive:
    """What the file holds, by the names that members have inside of its folder."""

    path: Path
    members: Mapping[str, bytes]

    def refused(self, text: str) -> ModelError:
        """The refusal of the file, in one line."""
        return ModelError(f"{self.path}: {text}")

    def json(self, name: str) -> dict[str, Any]:
        """A member that is one JSON object."""
        try:
            found = json.loads(self.members[name])
        # Lists in lists, deeper than Python goes.
        except (KeyError, ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self.refused(f"a program's '{name}' needs to be JSON; {AGAIN}")
        return found

    @property
    def program_name(self) -> str:
        """The member that has the program."""
        known = [name for name in self.members if name.startswith("models/")]
        # Releases before 2.8 have one place for it.
        known = known or [n for n in self.members if n == "serialized_exported_program.json"]
        if len(known) != 1:
            for end, kind, advice in OTHERS:
                if any(name.endswith(end) for name in self.members):
                    raise self.refused(
                        f"needs to be a program of torch.export, not {kind}; {advice}"
                    )
            held = f"{len(known)} of them" if known else "none"
            raise self.refused(f"needs one program of torch.export, not {held}; {AGAIN}")
        return known[0]

    def program(self) -> dict[str, Any]:
        """The serialized program, of a version that is known."""
        found = self.json(self.program_name)
        version = found.get("schema_version")
        major = version.get("major") if isinstance(version, dict) else None
        if major != MAJOR:
            raise self.refused(
                f"a program needs schema {MAJOR}, which torch 2.6 and newer write, not "
                f"{major!r:.20}; export it again with such a release"
            )
        return found


def read_archive(path: Path) -> Pt2Archive:
    """The members of a ``.pt2`` file; nothing of them is unpickled or run.

    Raises
    ------
    QnnError
        There is no such file, or it is no archive that PyTorch wrote.
    """
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            size = sum(info.file_size for info in infos)
            if size > min(MOST_BYTES, TORCH_RATIO * path.stat().st_size):
                raise ModelError(f"{path}: its members would take {size:,} bytes; {AGAIN}")
            members = {info.filename: _content(archive, info) for info in infos}
    except BROKEN_ARCHIVE as error:
        if isinstance(error, OSError) and error.strerror:
            raise PathError(
                f"{path}: cannot be read ('{error.strerror}'); correct the path"
            ) from None
        raise ModelError(f"{path}: no archive of PyTorch, or cut short; {AGAIN}") from None
    # Newer releases put all members into one folder, of any name.
    folders = {name.partition("/")[0] for name in members}
    if len(folders) == 1 and all("/" in name for name in members):
        members = {name.partition("/")[2]: data for name, data in members.items()}
    return Pt2Archive(path, members)


def _content(archive, info):
    with open_member(archive, info) as file:
        # As much as was counted: what a member unpacks to beyond it would be read, too.
        return file.read(info.file_size)
