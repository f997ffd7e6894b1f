"""What a network that designs are made of knows of its data."""

import pytest
import torch
from torch import nn

from qnn.explore.network import FloatNetwork
from qnn.ptq.compare import TestSet
from qnn.tasks.kinds import TaskKind


def test_labels_tell_a_regressions_own_error_and_belong_to_its_fingerprint():
    torch.manual_seed(0)
    model, x = nn.Linear(6, 2).eval(), torch.randn(100, 6)
    with torch.no_grad():
        errors = torch.randn(100, 2)
        y = model(x) + errors
    test = TestSet((x,), (y.numpy(),), (TaskKind.REGRESSION,))
    known, guessed = FloatNetwork(model, (x,), test, labels=y), FloatNetwork(model, (x,), test)
    builder = known.builder((3, 8))
    own = float(errors[builder.images.judges].square().mean())
    assert builder.held.own_errors == (pytest.approx(own),)
    assert guessed.builder((3, 8)).held.guesses
    other = FloatNetwork(model, (x,), test, labels=y + 1)
    assert len({each.digest for each in (known, guessed, other)}) == 3
