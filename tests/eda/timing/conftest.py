"""The public timing files, where they are."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def timing_data(shared_data) -> Path:
    """The folder with routed paths and tables of cells; the test is skipped without it."""
    folder = shared_data.parent / "timing"
    if not (folder / "routed_paths.jsonl.gz").is_file():
        pytest.skip(f"no routed paths at {folder}")
    return folder
