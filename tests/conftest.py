"""What every test may use: golden files, shared data, and markers that say what is missing."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from qnn.eda import verilator
from tests.quicker import quicker

# A loaded machine must not fail a property: only its answer counts, never its time.
settings.register_profile("qnn", deadline=None, print_blob=True)
settings.load_profile("qnn")

COMPILERS = ("g++", "clang++")
MOST_WORKERS = 8  # each holds torch, and with RTL tests a compiler: about 1.5 GB


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite tests/**/golden/ from this run"
    )


def pytest_xdist_auto_num_workers(config) -> int:
    """Workers of plain ``pytest``: one a core, but none where they would only be in the way.

    Workers do not show what ``-s`` asks for, and take longer to start than one file takes to run.
    """
    files = [argument for argument in config.args if not Path(argument.split("::")[0]).is_dir()]
    if config.option.capture == "no" or config.option.collectonly or len(config.args) == len(files):
        return 0
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS)


def pytest_xdist_setupnodes(config, specs) -> None:
    """Share the cores among the workers: before any of them loads torch, which reads this once."""
    threads = max(1, len(os.sched_getaffinity(0)) // len(specs))
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))


def pytest_collection_finish(session) -> None:
    """All is imported: what follows are the tests alone."""
    if session.items:
        quicker()
        # Most simulators run for a second, and take the compiler more than a minute to optimise.
        verilator.OPTIMISE["OPT_FAST"] = "-O0"


def _missing_for(marker: str) -> str | None:
    """What ``marker`` needs and this machine lacks, or None."""
    if marker == "rtl":
        ready = shutil.which("make") and any(shutil.which(name) for name in COMPILERS)
        return None if ready else "no C++ compiler or no make; see 'qnn doctor'"
    if marker == "vivado":
        return None if shutil.which("vivado") else "vivado is not on PATH"
    if marker == "board":
        return None if os.environ.get("QNN_BOARD") else "QNN_BOARD names no board"
    if marker == "gpu":
        import torch

        return None if torch.cuda.is_available() else "torch sees no CUDA device"
    return None


def pytest_runtest_setup(item):
    for marker in item.iter_markers():
        missing = _missing_for(marker.name)
        if missing:
            pytest.skip(missing)


@pytest.fixture
def golden(request):
    """Compare a text with ``golden/NAME`` beside the test; ``--update-golden`` rewrites it."""

    def compare(name: str, actual: str) -> None:
        path = request.path.parent / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(actual)
        assert path.exists(), f"{path} is missing; write it with 'pytest --update-golden'"
        assert actual == path.read_text()

    return compare


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets and trained weights; the test is skipped without it."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("QNN_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}; QNN_SHARED_DATA may name another folder")
    return folder
