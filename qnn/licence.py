"""The licence line of generated files, in the comments of each language."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from hw.spec.licence import SPDX

COMMENTS = {  # ending of a file: what a comment begins and ends with
    **dict.fromkeys((".v", ".sv", ".svh", ".dtso"), ("// ", "")),
    **dict.fromkeys((".tcl", ".xdc", ".lpf", ".sh", ".py"), ("# ", "")),
    ".h": ("/* ", " */"),
    **dict.fromkeys((".md", ".xml"), ("<!-- ", " -->")),
    ".core": ("# ", ""),
}
# Files whose first line must stay the first: an interpreter's, a format's, or an XML declaration.
FIRST = (b"#!", b"CAPI=2:", b"<?xml")
HEAD_BYTES = 300  # in which a file that has the line has it


def licensed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same files, each of whose language has comments with its licence; others as they are."""
    return {name: _licensed(name, data) for name, data in files.items()}


def _licensed(name, data):
    begin, end = COMMENTS.get(PurePosixPath(name).suffix, (None, None))
    if begin is None or SPDX.encode() in data[:HEAD_BYTES]:
        return data
    line = f"{begin}{SPDX}{end}\n".encode()
    if data.startswith(FIRST):
        first, _, rest = data.partition(b"\n")
        return first + b"\n" + line + rest
    return line + data
