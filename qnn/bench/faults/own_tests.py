"""The quick tests of the file that has a mutant, run in the process that has it."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
# One order of files and one seed, so that a mutant is found by the same test again.
OPTIONS = ("-x", "-q", "-n0", "-p", "no:cacheprovider", "--hypothesis-seed=0")
# A process that is forked has plugins of pytest's already, which warns of it.
WARNINGS = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
# Each takes longer than all others of its folder together, which find most of what it finds.
LEFT_OUT = {
    *("test_growth.py", "test_strips.py", "test_pack_input.py", "test_order_channels.py"),
    "test_thorough.py",
}
# Builds the campaign's networks, among others, and compares every byte with what was accepted.
REPLAY = "tests/replay"


def replayed() -> str | None:
    """What finds a mutant that changes what is compiled of the campaign's networks, if it is there.

    It need not be run: whatever changes these bytes makes it fail.
    """
    return f"python -m {REPLAY.replace('/', '.')}" if (ROOT / REPLAY).is_dir() else None


def quick_tests(path: str) -> tuple[str, ...]:
    """Test files for a source file: its own first, then those beside it; none if not installed.

    Parameters
    ----------
    path : of the source file, from the root of the repository
    """
    source = Path(path)
    folder = Path("tests", *source.parent.parts[source.parts[0] == "qnn" :])
    own = folder / f"test_{source.stem}.py"
    beside = sorted((ROOT / folder).glob("test_*.py"))
    left_out = LEFT_OUT - {own.name}
    files = [str(file.relative_to(ROOT)) for file in beside if file.name not in left_out]
    return tuple(sorted(files, key=lambda file: file != str(own)))


def first_failure(files: tuple[str, ...]) -> str | None:
    """The first test of ``files`` that fails, by its name; None if all pass.

    Raises
    ------
    RuntimeError
        No test could be run.
    """
    import pytest

    # Whoever started the campaign may have done so anywhere.
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    seen = _Failures()
    status = pytest.main([*OPTIONS, *WARNINGS, *files], plugins=[seen])
    if seen.names:
        return seen.names[0]
    if status != pytest.ExitCode.OK:
        raise RuntimeError(f"pytest ended with status {status} and no test that failed")
    return None


class _Failures:
    """A plugin that keeps the names of what failed."""

    def __init__(self):
        self.names: list[str] = []

    def pytest_collectreport(self, report):
        self._add(report)

    def pytest_runtest_logreport(self, report):
        self._add(report)

    def _add(self, report):
        if report.failed:
            self.names.append(report.nodeid)
