"""One name, one thing: few classes may have the name of a class in another file."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOPS = ("hw", "qnn", "sim", "boards")
MOST = 10  # names; it may only fall


def sources() -> dict[str, str]:
    """The text of every source file, by its path."""
    paths = (path for top in TOPS for path in sorted((ROOT / top).rglob("*.py")))
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}


def shared_names(files: dict[str, str]) -> dict[str, list[str]]:
    """Names that classes at the top of several files have, and those files."""
    found = defaultdict(list)
    for path, text in files.items():
        for statement in ast.parse(text).body:
            if isinstance(statement, ast.ClassDef):
                found[statement.name].append(path)
    return {name: paths for name, paths in found.items() if len(paths) > 1}


def test_few_class_names_stand_in_two_files():
    found = shared_names(sources())
    lines = [f"{name}: {', '.join(paths)}" for name, paths in sorted(found.items())]
    assert len(found) <= MOST, "\n".join(lines)


def test_a_planted_name_is_found():
    files = {
        "qnn/ir/graph.py": "class Graph:\n    class Inner: ...\n",
        "qnn/report/graph.py": "if True:\n    pass\n\nclass Graph(list): ...\nclass Inner: ...\n",
        "hw/other.py": "Graph = 1\n",
    }
    assert shared_names(files) == {"Graph": ["qnn/ir/graph.py", "qnn/report/graph.py"]}
