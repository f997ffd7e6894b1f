"""Searches of tests learn for some steps only: as many as designs are told apart by."""

from dataclasses import replace

import pytest

from qnn.ptq.auto import learn


@pytest.fixture(autouse=True, scope="session")
def few_steps():
    """Of learning, in all searches of this folder."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FEW", "MANY"):
            patch.setattr(learn, name, replace(getattr(learn, name), steps=20))
        yield
