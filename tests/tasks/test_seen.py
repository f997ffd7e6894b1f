"""Tasks that were guessed from shapes, where outputs' values tell otherwise."""

import numpy as np
import pytest
import torch
from torch import nn

from qnn import quantize
from qnn.errors import QnnWarning
from qnn.ptq.auto.options import Auto
from qnn.tasks.kinds import TaskKind
from qnn.tasks.seen import as_seen


@pytest.mark.parametrize("shape", [(6,), (2, 3)])
@pytest.mark.parametrize("asked", [None, "reconstruction"])
def test_a_guessed_reconstruction_that_is_far_from_the_input_is_of_values(shape, asked, recwarn):
    given = np.random.default_rng(0).normal(3, 1, (20, 6)).astype(np.float32)
    near, far = given + 0.5, given + 1.5
    kinds = (TaskKind.RECONSTRUCTION, TaskKind.CLASSES, TaskKind.RECONSTRUCTION)
    outputs = [values.reshape(-1, *shape) for values in (near, far, far)]
    found = as_seen(kinds, asked, given, outputs)
    last = TaskKind.REGRESSION if asked is None else TaskKind.RECONSTRUCTION
    assert found == (*kinds[:2], last)
    assert len(recwarn) == (asked is None)


@pytest.mark.parametrize("shape", [(6,), (3, 5), (2, 4, 4)])
@pytest.mark.parametrize("near", [True, False])
def test_quantize_keeps_values_where_a_network_does_not_give_its_input_back(shape, near, recwarn):
    torch.manual_seed(0)
    x = torch.randn(40, *shape) + 3
    layer = {1: nn.Linear, 2: nn.Conv1d, 3: nn.Conv2d}[len(shape)]
    network = layer(shape[0], shape[0], *(1,) * (len(shape) > 1))
    with torch.no_grad():
        network.weight.copy_(
            torch.eye(shape[0]).reshape(network.weight.shape) * (1 if near else -1)
        )
        network.bias.zero_()
    quantize(network, x, auto=Auto(report=lambda _: None))
    told = [str(each.message) for each in recwarn if each.category is QnnWarning]
    assert any("far from it" in text for text in told) == (not near)
