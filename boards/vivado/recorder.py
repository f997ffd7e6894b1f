"""Vivado's commands, recorded: each does to a ``Design`` what Vivado would, or is refused.

Stricter than Vivado in one thing: what Vivado answers with a warning and an empty list, such as a
pin that does not exist, fails here.
"""

from boards.tcl import Script
from boards.vivado.block_design import BlockDesign
from boards.vivado.commands import parse
from boards.vivado.folder import Folder
from boards.vivado.project import Project


class Recorder:
    """Answers the commands of a script: files, then the project, then the block design."""

    def __init__(self, folder: Folder, project: Project, block_design: BlockDesign):
        self._folder, self._parts = folder, (project, block_design)

    def __call__(self, words: list[str]) -> str | Script:
        # Commands of Tcl that touch files must see the build folder, not this machine's.
        if words[0] in Folder.COMMANDS:
            return getattr(self._folder, words[0])(words[1:])
        call = parse(words)
        part = next(part for part in self._parts if hasattr(part, call.name))
        return getattr(part, call.name)(call) or ""
