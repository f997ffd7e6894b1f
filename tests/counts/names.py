"""One name, one thing: few classes may have the name of a class in another file."""

import ast
from collections import defaultdict

MOST = 10  # names that may stand in two files


def shared_names(files: dict[str, str]) -> dict[str, list[str]]:
    """Names that classes at the top of several files have, and those files."""
    found = defaultdict(list)
    for path, text in files.items():
        for statement in ast.parse(text).body:
            if isinstance(statement, ast.ClassDef):
                found[statement.name].append(path)
    return {name: paths for name, paths in found.items() if len(paths) > 1}
