"""Lengths: a file has one idea, and one that is long says in its first lines why it is."""

import re

MOST_LINES = 300
HEAD_LINES = 10  # in which the reason stands
REASON = re.compile(r"\blong(er)?\b.*\bbecause\b", re.DOTALL)  # "longer than others because ..."


def long_files(files: dict[str, str]) -> list[str]:
    """Files of more than ``MOST_LINES`` lines whose first lines do not say why."""
    found = []
    for path, text in files.items():
        lines = text.splitlines()
        if len(lines) > MOST_LINES and not REASON.search("\n".join(lines[:HEAD_LINES])):
            found.append(f"{path}: {len(lines)} lines")
    return found
