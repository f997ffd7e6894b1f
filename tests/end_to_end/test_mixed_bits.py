"""A network whose layers differ in the bits and terms of their weights, down to the simulator."""

import numpy as np
import pytest
import torch
from torch import nn

import qnn
from qnn.ir.encode import decode, encode_input
from qnn.ir.ops import Conv
from qnn.nn import artifact
from qnn.quant.rounding import ROUNDINGS
from sim.verify import verify
from tests.expected import expected_tensors
from tests.nearest import quantize

BITS = {"first": 5, "*.conv": 2, "head": 4, "*": 3}
TERMS = {"head": 2, "*": 1}


class Unit(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 3, padding=1)

    def forward(self, x):
        return torch.relu(x + self.conv(x))


class Mixed(nn.Module):
    """Has helper layers too: a padding and an average."""

    def __init__(self):
        super().__init__()
        self.first, self.unit = nn.Conv2d(3, 6, 3), Unit()
        self.pad, self.pool = nn.ZeroPad2d(1), nn.AvgPool2d(3, 2)
        self.side, self.head = nn.Conv2d(6, 4, 1), nn.Linear(10, 5)

    def forward(self, x):
        x = self.pool(self.pad(self.unit(self.first(x).relu())))
        return self.head(torch.cat([x, self.side(x)], 1).mean((2, 3)))


def mixed(**options):
    torch.manual_seed(0)
    data = torch.randn(16, 3, 9, 8)
    return quantize(Mixed(), data, weight_bits=BITS, terms=TERMS, **options)


def test_each_layer_has_its_own_bits_from_plan_to_graph():
    graph = qnn.export(mixed())
    found = {n.name: (n.weight_bits, len(n.codes)) for n in graph.nodes if isinstance(n, Conv)}
    named = {"first": (5, 1), "unit.conv": (2, 1), "side": (3, 1), "head": (4, 2)}
    assert {name: found[name] for name in named} == named
    assert {bits for name, (bits, _) in found.items() if name not in named} == {3}
    plan = mixed().plan
    assert (plan.weight_bits, plan.terms) == (5, 2)


def test_the_file_keeps_the_bits(tmp_path):
    quantized = mixed()
    artifact.save(quantized, tmp_path / "m.safetensors")
    loaded = artifact.load(tmp_path / "m.safetensors")
    assert loaded.plan == quantized.plan
    assert str(qnn.export(loaded)) == str(qnn.export(quantized))


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_pytorch_reference_and_functional_agree(rounding):
    options = {} if rounding in ("nearest", "gptq") else {"rounding_options": {"steps": 5}}
    quantized = mixed(rounding=rounding, **options)
    graph = qnn.export(quantized)
    design = qnn.compile(graph, "test")
    assert design.config.weight_bits == 5
    x = torch.randn(4, 3, 9, 8)
    stored = encode_input(graph, x.numpy())
    expected = expected_tensors(graph, stored)
    np.testing.assert_array_equal(quantized(x).detach().numpy(), decode(graph, expected)[0])
    report = verify(design, stored, "functional", expected=expected)
    assert report.passed, str(report)
