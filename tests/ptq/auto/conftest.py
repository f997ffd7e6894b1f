"""Searches of tests learn for some steps only: as many as designs are told apart by."""

from dataclasses import replace

import pytest

from qnn.ptq.auto import learn


@pytest.fixture(autouse=True, scope="session")
def few_steps():
    """Of learning, in all searches of this folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learn, "OPTIONS", replace(learn.OPTIONS, steps=20))
        yield
