"""The files that a script can see: those of a build folder, at ``/``, and what it writes there."""

import posixpath
import re
from collections.abc import Mapping

from boards.tcl import RefusedError, Script


class Folder:
    """Answers Tcl's own commands for files; nothing is read or written outside of it.

    Parameters
    ----------
    texts : path to text
    """

    COMMANDS = ("source", "file", "glob", "puts")

    def __init__(self, texts: Mapping[str, str]):
        self.texts = dict(texts)
        self.written: set[str] = set()
        self._folders = {posixpath.dirname(path) for path in self.texts}

    def path(self, name: str) -> str:
        """``name`` as a path in the folder."""
        # The build folder is the root, so that paths are the same on every machine.
        return posixpath.normpath(name).lstrip("/")

    def has(self, path: str) -> bool:
        return path in self.texts or path in self.written

    def write(self, name: str) -> None:
        """Note that ``name`` is written, into a folder that is there."""
        path = self.path(name)
        # Tcl makes no folder by itself.
        if posixpath.dirname(path) not in self._folders:
            raise RefusedError(f'couldn\'t write "{path}": no such folder; file mkdir it')
        self.written.add(path)

    def source(self, words: list[str]) -> Script:
        self._takes("source", words, 1)
        name = self.path(words[-1])
        if name not in self.texts:
            raise RefusedError(f'couldn\'t read file "{name}": no such file or directory')
        return Script(f"/{name}", self.texts[name])

    def file(self, words: list[str]) -> str:
        self._takes("file", words, 2)
        action, *rest = words
        names = [word for word in rest if word not in ("-force", "--")]
        if action == "normalize":
            return posixpath.normpath(posixpath.join("/", names[0]))
        if action == "dirname":
            return posixpath.dirname(names[0])
        if action == "mkdir":
            self._folders |= {self.path(name) for name in names}
            return ""
        if action == "copy" and len(names) == 2:
            if not self.has(self.path(names[0])):
                raise RefusedError(f'error copying "{names[0]}": no such file or directory')
            self.write(names[1])
            return ""
        raise RefusedError(f"'file {action}' of {len(names)} names is not known here")

    def glob(self, words: list[str]) -> str:
        self._takes("glob", words, 1)
        # Of Tcl's patterns the projects use the star alone.
        pattern = re.escape(self.path(words[-1])).replace(r"\*", "[^/]*")
        names = sorted({*self.texts, *self.written})
        found = [f"/{name}" for name in names if re.fullmatch(pattern, name)]
        if not found and "-nocomplain" not in words:
            raise RefusedError(f'no files matched glob pattern "{words[-1]}"')
        return " ".join(found)

    # What a script prints is for its user; the check has nothing to learn from it.
    def puts(self, words: list[str]) -> str:
        return ""

    def _takes(self, name, words, least):
        if len(words) < least:
            raise RefusedError(f"{name} takes {least} or more words, not {len(words)}")
