"""Comments: each package says why its constants and orders are what they are."""

import io
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

LEAST = 0.04  # of a package's lines end in a comment, or are one
SMALL = 100  # lines of a package that has little to explain
PRAGMAS = ("# amaranth:", "# type:")  # are for tools


def comment_lines(text: str) -> Iterator[int]:
    """The numbers of the lines that are or end in a comment for a reader."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith(PRAGMAS):
            yield token.start[0]


def shares(files: dict[str, str]) -> dict[str, float]:
    """The share of comments of each package that is not small, 0 to 1; a folder is a package."""
    lines, comments = Counter(), Counter()
    for path, text in files.items():
        package = str(PurePosixPath(path).parent)
        lines[package] += len(text.splitlines())
        comments[package] += len(list(comment_lines(text)))
    return {name: comments[name] / count for name, count in lines.items() if count >= SMALL}
