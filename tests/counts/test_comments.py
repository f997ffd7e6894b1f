from tests.counts.comments import LEAST, comment_lines, shares
from tests.counts.sources import sources


def test_each_package_explains_itself():
    short = {name: f"{share:.1%}" for name, share in shares(sources()).items() if share < LEAST}
    assert not short, short


def test_comments_are_told_from_what_looks_like_them():
    lines = (
        "# amaranth: UnusedElaboratable=no",
        "'''A docstring.",
        "# no comment",
        "'''",
        'COLOUR = "#fff"',
        "SIZE = 3  # why three",
        "# a line",
        "#  of two",
    )
    assert list(comment_lines("\n".join(lines))) == [6, 7, 8]


def test_a_planted_package_without_comments_is_found():
    files = {"qnn/new/__init__.py": "", "qnn/new/bare.py": "x = 1\n" * 97 + "# why\n" * 3}
    assert shares(files) == {"qnn/new": 0.03}
    assert shares({**files, "qnn/small/few.py": "x = 1\n" * 99}) == {"qnn/new": 0.03}
