"""Channels scaled by powers of two: no float value of the network changes, and which may scale."""

import copy

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from qnn.errors import ModelError
from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.input import FloatInput
from qnn.frontend.ops.multiply import FloatMultiply
from qnn.frontend.run import blocks_of, run
from qnn.ptq.equalise import equalise
from tests.models import as_tuple, models


def fused(model, *given):
    """The fused graph of a model in evaluation mode, and what its nodes read."""
    graph = fuse(capture(model.eval(), given if len(given) > 1 else given[0]))
    return graph, blocks_of(graph, given)


@torch.no_grad()
def factors(graph, other, x) -> dict[str, Tensor]:
    """What ``other`` multiplies each channel of each tensor by; of silent channels 1.

    It fails where that is not one power of two for all values of a channel.
    """
    found = {}
    for (name, value), now in zip(run(graph, *x).items(), run(other, *x).values(), strict=True):
        most = value.abs().amax((0, 2, 3))
        factor = torch.where(most > 0, now.abs().amax((0, 2, 3)) / most, 1.0)
        assert bool((factor.frexp().mantissa == 0.5).all()), name
        assert torch.equal(value * factor[:, None, None], now), name
        found[name] = factor
    return found


@settings(max_examples=12)
@given(models())
def test_no_value_that_the_network_gives_changes(case):
    try:
        graph = fuse(capture(case.model, case.calibration))
    except ModelError:
        reject()  # a network that no frontend reads
    x = blocks_of(graph, as_tuple(case.calibration))
    once = equalise(graph, [x])
    found = factors(graph, once, x)
    # What the user gives and gets, what a table or a bound looks at, and what is multiplied.
    kept = {output.name for output in graph.outputs}
    for node in graph.nodes:
        if isinstance(node, FloatInput):
            kept.add(node.name)
        if isinstance(node, FloatMultiply):
            kept |= {node.name, *node.inputs}
        if isinstance(node, FloatConv) and (node.function or node.high is not None or node.low):
            kept.add(node.name)
        if isinstance(node, FloatConv) and node.fixed:
            assert torch.equal(node.weight, once[node.name].weight)
    for name in kept:
        assert bool((found[name] == 1).all()), name
    same_weights(once, equalise(once, [x]))


def same_weights(one, other):
    """Assert that two graphs have equal parameters."""
    for a, b in zip(one.convs, other.convs, strict=True):
        parts = [(a.weight, b.weight), (a.bias, b.bias)]
        if a.batchnorm is not None:
            parts += [(a.batchnorm.gamma, b.batchnorm.gamma)]
            parts += [(a.batchnorm.beta, b.batchnorm.beta)]
        for x, y in parts:
            assert (x is None) == (y is None), a.name
            assert x is None or torch.equal(x, y), a.name


class Residual(nn.Module):
    """A sum, a concatenation, poolings, a grouped and a plain convolution, and a head."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.inner, self.side = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 2, 1)
        self.grouped, self.head = nn.Conv2d(6, 6, 3, groups=2), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        x = self.norm(self.first(x)).relu()
        x = nn.functional.max_pool2d((x + self.inner(x)).relu(), 2)
        x = self.grouped(torch.cat((x, self.side(x).relu()), 1)).relu()
        return self.head(x.mean((2, 3)))


@torch.no_grad()
def rescaled(model: Residual, trunk: Tensor, side: Tensor, last: Tensor) -> Residual:
    """The same network with such factors of the channels of its sum, of its side and its last."""
    made = copy.deepcopy(model)
    made.norm.weight *= trunk
    made.norm.bias *= trunk
    made.inner.weight *= trunk[:, None, None, None] / trunk[:, None, None]
    made.inner.bias *= trunk
    made.side.weight *= side[:, None, None, None] / trunk[:, None, None]
    made.side.bias *= side
    read = torch.cat((trunk, side)).reshape(2, 3).repeat_interleave(3, 0)
    made.grouped.weight *= last[:, None, None, None] / read[:, :, None, None]
    made.grouped.bias *= last
    made.head.weight /= last
    return made


POWERS = st.integers(-9, 9).map(lambda power: 2.0**power)


@settings(max_examples=8)
@given(st.lists(POWERS, min_size=12, max_size=12))
def test_networks_that_differ_by_powers_of_two_become_one(residual, powers):
    model, images = residual
    trunk, side, last = torch.tensor(powers).split([4, 2, 6])
    graph, x = fused(model, images)
    other, _ = fused(rescaled(model, trunk, side, last), images)
    one = equalise(graph, [x])
    # Over a sum, a pooling and a concatenation, and in all groups.
    same_weights(one, equalise(other, [x]))
    assert any(bool((factor != 1).any()) for factor in factors(graph, one, x).values())


def test_channels_that_are_read_by_small_weights_are_made_small():
    """What computes a channel takes the factor that the weights that read it lack."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5))
    with torch.no_grad():
        model[2].weight.mul_(torch.tensor([1.0, 2**-5, 1, 2**3, 1, 1]))
    graph, x = fused(model, torch.randn(40, 4))
    found = equalise(graph, [x]).convs[1].weight
    # Of one size but for a factor of 2 in squares that rounding leaves, and what rows hold.
    norms = found.square().sum((0, 2, 3)).sqrt()
    assert norms.max() / norms.min() < 4
    plain = graph.convs[1].weight.square().sum((0, 2, 3)).sqrt()
    assert plain.max() / plain.min() > 100


@pytest.mark.parametrize(
    "between",
    [nn.Sigmoid(), nn.GELU(), nn.ReLU6(), nn.Hardtanh(-1, 1), nn.Threshold(0.5, 0.5)],
    ids=lambda module: type(module).__name__,
)
def test_tables_and_bounds_keep_their_scale(between):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), between, nn.Linear(6, 5))
    with torch.no_grad():
        model[2].weight[:, 1] *= 2**-6
    graph, x = fused(model, torch.randn(40, 4))
    for factor in factors(graph, equalise(graph, [x]), x).values():
        assert bool((factor == 1).all())


def test_what_nothing_reads_or_nothing_fills_stays():
    """Dead channels, and channels whose readers are dead, have no size to be brought to."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5))
    with torch.no_grad():
        model[0].weight[1], model[0].bias[1] = 0, 0
        model[2].weight[:, 2] = 0
        model[2].weight[3] = 0
    graph, x = fused(model, torch.randn(40, 4))
    found = equalise(graph, [x])
    assert all(bool(conv.weight.isfinite().all()) for conv in found.convs)
    assert factors(graph, found, x)[graph.convs[0].name][2] == 1


def test_a_network_in_which_nothing_learns_stays():
    graph, x = fused(nn.AvgPool2d(2), torch.randn(4, 3, 4, 4))
    same_weights(graph, equalise(graph, [x]))
