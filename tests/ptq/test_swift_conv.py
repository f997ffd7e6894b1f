"""The teacher's convolutions compute what the float network's do, but for the last places."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.run import run
from qnn.ptq.swift_conv import SwiftConv


class Every(nn.Module):
    """Normalised, diagonal, padded unevenly, strided, with a skip operand, clamped and curved."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(3))
        self.first = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.uneven = nn.Conv2d(4, 4, (2, 3), padding="same", groups=2)
        self.last = nn.Conv2d(4, 5, 3, stride=2)

    def forward(self, x):
        a = self.norms[0](self.first(x)).clamp(-1, 1)
        b = (self.norms[1](self.uneven(a)) + a).relu()
        c = torch.cat([b, b], 1)[:, 2:6]
        return self.last(nn.functional.silu(self.norms[2](c)))


@pytest.fixture
def graph():
    torch.manual_seed(0)
    model = Every()
    for norm in model.norms:
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    return fuse(capture(model.eval(), (torch.randn(2, 3, 6, 6),)))


@torch.no_grad()
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_every_tensor_is_that_of_the_float_network(graph, memory_format):
    swift = tuple(SwiftConv.of(n) if n in graph.convs else n for n in graph.nodes)
    x = torch.randn(2, 3, 6, 6).contiguous(memory_format=memory_format)
    wanted = run(graph, x)
    found = run(replace(graph, nodes=swift), x)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_normalisation_is_in_the_weights(graph):
    assert any(conv.batchnorm is not None for conv in graph.convs)
    for conv in map(SwiftConv.of, graph.convs):
        assert conv.batchnorm is None
        assert conv.scale == 1.0
