"""Activations and arithmetic as users write them: each is one function, a factor or a bound."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.run import run

SCALES = torch.tensor([0.5, 1.0, 2.0, -1.0])[:, None, None]
NAMED = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu of tanh": lambda x: F.gelu(x, approximate="tanh"),
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "leaky relu": lambda x: F.leaky_relu(x, 0.1),
    "elu": F.elu,
    "selu": F.selu,
    "celu": F.celu,
    "mish": F.mish,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "logsigmoid": F.logsigmoid,
    "tanhshrink": F.tanhshrink,
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
    "threshold": lambda x: F.threshold(x, 0.1, 0.2),
    "rrelu in evaluation": F.rrelu,
    "prelu": nn.PReLU(),
    "prelu by channel": nn.PReLU(4),
    "exp": torch.exp,
    "exp2": torch.exp2,
    "abs": torch.abs,
    "sign": torch.sign,
    "sin": torch.sin,
    "cos": torch.cos,
    "erf": torch.erf,
    "round": torch.round,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "log": lambda x: torch.log(x.abs() + 1),
    "sqrt": lambda x: torch.sqrt(x.abs()),
    "rsqrt": lambda x: torch.rsqrt(x * x + 1),
    "reciprocal": lambda x: 1 / (1 + x.square()),
    # Spelt out, whatever they are called.
    "silu as a product": lambda x: x * torch.sigmoid(x),
    "mish as a product": lambda x: x * torch.tanh(F.softplus(x)),
    "gelu by erf": lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)),
    "gelu by tanh": lambda x: 0.5 * x * (1 + torch.tanh(0.79788 * (x + 0.044715 * x**3))),
    "hard-swish by relu6": lambda x: x * F.relu6(x + 3) / 6,
    "a power of a clamp": lambda x: x.clamp(-1, 2).pow(3),
    "a choice": lambda x: torch.where(x > 0, x, 0.1 * x),
    "a mask": lambda x: x * (x > 0).float(),
    "a mask of numbers": lambda x: x.masked_fill(x < 0, 0.5),
    "maxout of itself": lambda x: torch.maximum(x, 0.1 * x),
    "swish with factors of its own": lambda x: x * torch.sigmoid(SCALES * x),
    "a sum of functions": lambda x: torch.sin(x) + torch.cos(x),
    "a square": lambda x: x * x,
    "in place": lambda x: x.mul_(2).sigmoid_(),
}
LINEAR = {
    "a factor": lambda x: x * 2,
    "a shift": lambda x: x + 0.5,
    "a difference": lambda x: x - 0.5,
    "from a number": lambda x: 1 - x,
    "minus": lambda x: -x,
    "a quotient": lambda x: x / 3,
    "by channel": lambda x: (x - SCALES) / SCALES,
    "by channel with a batch": lambda x: x * SCALES[None],
    "a constant of the image's size": lambda x: x * torch.full((1, 4, 6, 6), 2.0),
    "addcmul": lambda x: torch.addcmul(x, SCALES, torch.ones(1), value=2),
    "in place": lambda x: x.mul_(2).add_(1),
    "rsub": lambda x: torch.rsub(x, 2, alpha=3),
}
BOUNDED = {
    "relu": F.relu,
    "relu6": F.relu6,
    "hardtanh": lambda x: F.hardtanh(x, -2, 0.5),
    "clip": lambda x: torch.clip(x, -0.5, 0.5),
    "threshold of zeros": lambda x: F.threshold(x, 0, 0),
    "a factor behind": lambda x: F.relu(x) * 2,
    "hard sigmoid by relu6": lambda x: F.relu6(x + 3) / 6,
    "a negative factor behind": lambda x: 1 - F.relu(x),
}
NOTHING = {
    "the sum of a list of one": lambda x: sum([x]),
    "a factor of 1": lambda x: x * 1.0,
    "clone": lambda x: x.clone().contiguous().detach(),
    "to": lambda x: x.to(torch.float32).float(),
    "checkpointing": lambda x: checkpoint(torch.clone, x, use_reentrant=False),
}


class Between(nn.Module):
    """What is tried, between two convolutions."""

    def __init__(self, tried):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 1)
        self.tried = tried

    def forward(self, x):
        return self.last(self.tried(self.first(x)))


@torch.no_grad()
def fused(tried):
    """The convolutions of the fused network, after a test that it computes the same."""
    torch.manual_seed(0)
    model, x = Between(tried).eval(), torch.randn(2, 3, 8, 8)
    graph = fuse(capture(model, x), checked=True)
    got = run(graph, x)[graph.outputs[0].name]
    torch.testing.assert_close(got, model(x), atol=1e-5, rtol=1e-5)
    assert len(graph.nodes) == 3, str(graph)
    return graph.convs


@pytest.mark.parametrize("name", NAMED)
def test_a_function_joins_the_convolution_before_it(name):
    first, last = fused(NAMED[name])
    assert first.activated
    assert not last.activated


@pytest.mark.parametrize("name", LINEAR)
def test_arithmetic_with_constants_goes_into_the_weights(name):
    assert not any(conv.activated for conv in fused(LINEAR[name]))


@pytest.mark.parametrize("name", BOUNDED)
def test_what_a_clamp_gives_needs_no_table(name):
    first, last = fused(BOUNDED[name])
    assert first.clamped
    assert first.function is last.function is None


@pytest.mark.parametrize("name", NOTHING)
def test_what_changes_no_value_is_nothing(name):
    first, last = fused(NOTHING[name])
    assert first.batchnorm is None
    assert not first.activated
    assert last.scale == 1


class Excited(nn.Module):
    """An inverted residual block with squeeze and excitation."""

    def __init__(self, activation, gate):
        super().__init__()
        self.expand, self.act = nn.Conv2d(8, 16, 1), activation
        self.depth = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.squeeze, self.excite, self.gate = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1), gate
        self.project = nn.Conv2d(16, 8, 1)

    def forward(self, x):
        y = self.depth(self.act(self.expand(x)))
        scale = self.excite(F.relu(self.squeeze(y.mean((2, 3), keepdim=True))))
        return x + self.project(y * self.gate(scale))


def mobile():
    """MobileNetV3's blocks."""
    blocks = [Excited(nn.Hardswish(), nn.Hardsigmoid()) for _ in range(2)]
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Hardswish(), *blocks)


def efficient():
    """EfficientNet's blocks, five of them."""
    blocks = [Excited(nn.SiLU(), nn.Sigmoid()) for _ in range(5)]
    return nn.Sequential(nn.Conv2d(3, 8, 3), *blocks, nn.Flatten(), nn.Linear(288, 4))


@torch.no_grad()
@pytest.mark.parametrize("build", [mobile, efficient])
def test_blocks_with_squeeze_and_excitation_are_taken_whole(build):
    torch.manual_seed(0)
    model, x = build().eval(), torch.randn(2, 3, 8, 8)
    graph = fuse(capture(model, x), checked=True)
    # A table takes no layer of its own, nor does a clamp.
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert sum(conv.learned for conv in graph.convs) == len(layers)
    assert all("mean" in conv.name for conv in graph.convs if not conv.learned)
    got = run(graph, x)[graph.outputs[0].name]
    wanted = model(x)
    torch.testing.assert_close(got.reshape(wanted.shape), wanted, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_tensor_that_others_read_is_computed_once_and_the_function_behind_a_copy():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

        def forward(self, x):
            y = F.silu(self.first(x))
            return self.last(y) + y * torch.sigmoid(y)

    model, x = Both().eval(), torch.randn(2, 3, 4, 4)
    graph = fuse(capture(model, x), checked=True)
    assert (
        str(graph)
        == """\
x = input() 3x4x4
first = conv(x) 4x4x4 1x1 function=silu(x) bias
mul = conv(first) 4x4x4 1x1 groups=4 function=mul(x,sigmoid(x)) fixed
last = conv(first, mul) 4x4x4 1x1 bias
return last"""
    )
    got = run(graph, x)[graph.outputs[0].name]
    torch.testing.assert_close(got, model(x), atol=1e-5, rtol=1e-5)
