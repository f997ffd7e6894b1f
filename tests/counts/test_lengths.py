from tests.counts.lengths import long_files
from tests.counts.sources import sources


def test_a_long_file_says_why_it_is():
    assert not long_files(sources())


def test_a_planted_long_file_is_found():
    reason = "# It is longer than others, because\n# it is whole.\n"
    files = {
        "qnn/reason.py": reason + "x = 1\n" * 300,
        "qnn/late.py": "x = 1\n" * 300 + reason,
        "qnn/enough.py": "x = 1\n" * 300,
    }
    assert long_files(files) == ["qnn/late.py: 302 lines"]
