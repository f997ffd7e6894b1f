"""Steps of a recurrence are plain layers: saved, rounded with data and trained."""

import pytest
import torch
from torch import nn

import qnn
from qnn.ir.encode import decode, encode_input
from qnn.ir.reference import reference
from tests.frontend.test_odd_models import Made
from tests.nearest import quantize
from tests.nn.checks import check_saved

X = torch.randn(64, 3, 5, generator=torch.Generator().manual_seed(3))


def recurrent(kind=nn.GRU):
    torch.manual_seed(0)
    layer = kind(5, 4, batch_first=True)
    return Made(lambda m, x: m.head(m.r(x)[0][:, -1]), r=layer, head=nn.Linear(4, 2)).eval()


def test_a_saved_recurrent_model_loads_as_it_was(tmp_path):
    check_saved(quantize(recurrent(), X), X, tmp_path / "gru.safetensors")


@pytest.mark.parametrize("rounding", ["gptq", "discquant"])
def test_steps_are_rounded_with_data(rounding):
    options = {"steps": 4} if rounding == "discquant" else None
    quantized = quantize(recurrent(nn.LSTM), X, rounding=rounding, rounding_options=options)
    graph = qnn.export(quantized)
    (found,) = decode(graph, reference(graph, encode_input(graph, X.numpy())))
    with torch.no_grad():
        assert torch.equal(torch.from_numpy(found), quantized(X))


def test_steps_learn_in_training():
    quantized = quantize(recurrent(), X).train()
    quantized(X).square().mean().backward()
    names = ("r.l0.reset", "r.l0.1.update.state", "r.l0.2.new.state", "head")
    assert all(bool(quantized.layer(name).weight.grad.any()) for name in names)
