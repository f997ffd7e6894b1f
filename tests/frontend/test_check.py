from dataclasses import replace

import pytest
import torch
from torch import nn

from qnn.errors import ModelError
from qnn.frontend.check import check
from qnn.frontend.fuse import fuse
from qnn.ir.graph import Output
from tests.frontend.float_text import parse
from tests.nearest import quantize

GRAPH = """\
x = input() 2x4x4
c = conv(x) 3x4x4 3x3 padding=(1,1,1,1)
m = maxpool(c) 3x2x2 2x2 stride=(2,2)
return m"""


def refusal(graph) -> str:
    with pytest.raises(ModelError) as caught:
        check(graph)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_legal_graph_passes():
    check(parse(GRAPH))


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            "maxpool(c)",
            "maxpool(d)",
            "maxpool 'm' needs 'd' before it, but got no such node; sort the nodes by their use",
        ),
        (
            "m = maxpool(c) 3x2x2",
            "m = maxpool(c) 3x2x4",
            "maxpool 'm' needs the shape (3, 2, 2) of its rule, but got (3, 2, 4); correct it",
        ),
        (
            "m = maxpool(c) 3x2x2 2x2 stride=(2,2)",
            "m = maxpool(c) 3x2x2 2x2 stride=(2,2)\ny = input() 1x1x1",
            "input 'y' needs to stand before all that is computed, but got a place behind; move it",
        ),
    ],
)
def test_an_illegal_graph_is_refused(old, new, text):
    assert refusal(parse(GRAPH.replace(old, new))) == text


def test_names_and_outputs_are_checked():
    graph = parse(GRAPH)
    assert refusal(replace(graph, nodes=(*graph.nodes, graph.nodes[-1]))) == (
        "maxpool 'm' needs a name of its own, but got that of an earlier node; rename one"
    )
    assert refusal(replace(graph, outputs=(Output("z", (3,)),))) == (
        "output 'z' needs a node of that name; add it"
    )
    missing = "a float graph needs an input and an output, but one is missing; add it"
    assert refusal(replace(graph, outputs=())) == missing
    assert refusal(replace(graph, nodes=graph.nodes[1:])) == missing


def test_fusion_checks_on_request():
    graph = parse(GRAPH.replace("m = maxpool(c) 3x2x2", "m = maxpool(c) 3x2x4"))
    with pytest.raises(ModelError, match=r"^maxpool 'm' needs the shape"):
        fuse(graph, checked=True)


def test_a_float_graph_can_be_quantized():
    text = """\
x = input() 2x4x4
c = conv(x) 3x4x4 3x3 padding=(1,1,1,1) bias
b = batchnorm(c) 3x4x4
r = clamp(b) 3x4x4 low=0.0
d = conv(r) 2x4x4 1x1
return d"""
    graph = parse(text)
    data = torch.randn(8, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    conv, norm, last = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1)
    model = nn.Sequential(conv, norm, nn.ReLU(), last)
    statistics = graph["b"].statistics
    with torch.no_grad():
        conv.weight.copy_(graph["c"].weight)
        conv.bias.copy_(graph["c"].bias)
        last.weight.copy_(graph["d"].weight)
        last.bias.zero_()
        norm.weight.copy_(statistics.gamma)
        norm.bias.copy_(statistics.beta)
        norm.running_mean.copy_(statistics.mean)
        norm.running_var.copy_(statistics.var)
    # A layer of the graph has no bias that could be corrected.
    one, other = (quantize(net, data, bias_correction=False) for net in (graph, model))
    assert torch.equal(one(data), other(data))
    with pytest.raises(ModelError) as caught:
        quantize(graph, data[:, :1])
    assert str(caught.value) == (
        "input 'x' needs data of shape (2, 4, 4), not (1, 4, 4); reshape them"
    )
