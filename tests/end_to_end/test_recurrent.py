"""Recurrent networks have the same integers in PyTorch, reference, simulator and hardware."""

import numpy as np
import pytest
import torch
from torch import nn

import qnn
from hw.spec.config import named_config
from qnn.ir.encode import decode, encode_input
from qnn.ir.reference import reference
from sim.verify import verify
from tests.frontend.test_odd_models import Made
from tests.frontend.test_recurrent import CASES, FEATURES, HIDDEN
from tests.nearest import quantize

NAMES = ("GRU", "GRU of two layers in both directions", "LSTM", "LSTM with a projection")


def every(m, x):
    whole, _ = m.r(x)
    return m.head(whole).relu(), whole[:, -1]


def quantized(name, steps=3):
    """A network of a case with 8-bit activations, and its images."""
    torch.manual_seed(0)
    kind, fields = CASES[name]
    layer = kind(FEATURES, HIDDEN, batch_first=True, **fields)
    x = torch.randn(64, steps, FEATURES)
    head = nn.Linear(layer(x)[0].shape[-1], 4)
    return quantize(Made(every, r=layer, head=head).eval(), x, 3, terms=2), x


# PyTorch says that projections run on another of its kernels.
@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("name", NAMES)
def test_a_recurrent_network_has_the_same_integers_everywhere(name):
    model, x = quantized(name)
    graph = qnn.export(model)
    given = encode_input(graph, x[:2].numpy())
    with torch.no_grad():
        wanted = model(x[:2])
    for real, got in zip(wanted, decode(graph, reference(graph, given)), strict=True):
        assert np.array_equal(got, real.numpy())
    design = qnn.compile(graph, named_config("test"), batch=2)
    report = verify(design, given, "functional")
    assert report.passed, report


@pytest.mark.rtl
@pytest.mark.parametrize("name", ["GRU", "LSTM"])
def test_hardware_computes_a_recurrent_network(name):
    model, x = quantized(name, steps=2)
    graph = qnn.export(model)
    report = verify(qnn.compile(graph, "test"), encode_input(graph, x[:1].numpy()), "rtl")
    assert report.passed, report
