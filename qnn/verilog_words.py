"""What the Verilog of a build may call: builds come from elsewhere, and simulators run them.

A simulator gives its sources the whole system: ``$system`` runs a program, ``$fopen`` writes a
file, ``$c`` is C++, an imported function is one of the C library, and directives read other files.
Ours have none of these, so that a file which has one is not ours.
"""

import re
from collections.abc import Mapping

from qnn.errors import CompileError

FOLDER = "rtl/"  # of what is simulated and synthesised
CALLED = ("$signed",)
# What is skipped is what every simulator skips, and no more: strings end with their line, names in
# backslashes with the first character that is not printed. Few tools know strings in three quotes.
_LEXED = re.compile(
    r'(?P<called>"""|\$\w*|`\w*|import\b)|"(?:\\.|[^"\\\r\n])*"|//[^\r\n]*|/\*.*?\*/|\\[!-~]+',
    re.DOTALL,
)


def check_words(built: Mapping[str, bytes], place: str) -> None:
    """Return if no file of a build's Verilog calls anything that could leave the simulation.

    Parameters
    ----------
    built : files of the build, path to content
    place : of the build, which begins the text of a refusal

    Raises
    ------
    CompileError
        A file does; the text names it, and what it calls.
    """
    for name, data in built.items():
        if not name.startswith(FOLDER):
            continue
        # Any byte is a character, as none of these words needs more than ASCII.
        for found in _LEXED.finditer(data.decode("latin-1")):
            if found["called"] and found["called"] not in CALLED:
                raise CompileError(
                    f"{place}/{name}: Verilog of a build calls {', '.join(CALLED)} alone, but this "
                    f"has '{found['called']:.40}'; compile the model again"
                )
