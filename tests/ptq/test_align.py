"""Channels scaled by any factor: what the network gives stays, and its weights lose less."""

import copy

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from qnn.errors import ModelError
from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import blocks_of, run
from qnn.ptq.align import FACTORS, align
from qnn.ptq.equalise import equalise
from qnn.quant.pow2 import snap
from qnn.quant.search_exponent import search_exponent
from tests.models import as_tuple, models
from tests.ptq.test_equalise import POWERS, fused, rescaled, same_weights


def aligned(graph: FloatGraph, x, bits: int = 3) -> FloatGraph:
    return align(graph, [x], {conv.name: bits for conv in graph.convs if not conv.fixed})


def rounding_error(graph: FloatGraph, name: str, bits: int = 3) -> Tensor:
    """Of each row of a layer, relative to its weights."""
    w = graph[name].weight * graph[name].scale
    rounded = snap(w, search_exponent(w, bits), bits)
    return (w - rounded).square().sum((1, 2, 3)) / w.square().sum((1, 2, 3))


@settings(max_examples=12)
@given(models())
@torch.no_grad()
def test_no_value_that_the_network_gives_changes(case):
    try:
        graph = fuse(capture(case.model, case.calibration))
    except ModelError:
        reject()  # a network that no frontend reads
    x = blocks_of(graph, as_tuple(case.calibration))
    before, now = run(graph, *x), run(aligned(graph, x), *x)
    # What is 0 but for rounding, as the mean of normalised values, is of no size of its own.
    noise = 1e-5 * max(float(value.abs().max()) for value in before.values())
    for output in graph.outputs:
        value, got = before[output.name], now[output.name]
        if float(value.abs().max()) <= noise:
            assert float(got.abs().max()) <= noise
            continue
        most = max(float(value.abs().max()), 1e-3)
        torch.testing.assert_close(got, value, rtol=1e-3, atol=1e-4 * most)


@settings(max_examples=8)
@given(st.lists(POWERS, min_size=12, max_size=12))
def test_equalised_networks_that_differ_by_powers_of_two_stay_one(residual, powers):
    model, images = residual
    trunk, side, last = torch.tensor(powers).split([4, 2, 6])
    graph, x = fused(model, images)
    other, _ = fused(rescaled(model, trunk, side, last), images)
    one = equalise(graph, [x])
    found = aligned(one, x)
    same_weights(found, aligned(equalise(other, [x]), x))
    assert not all(
        torch.equal(a.weight, b.weight) for a, b in zip(one.convs, found.convs, strict=True)
    )


def test_rows_of_few_weights_lose_a_quarter_less():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 64, 1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, groups=64),
        nn.ReLU(),
        nn.Conv2d(64, 4, 1),
    )
    graph, x = fused(model, torch.randn(8, 3, 8, 8))
    now = aligned(graph, x)
    depthwise = graph.convs[1].name
    before, after = (rounding_error(each, depthwise).mean() for each in (graph, now))
    assert after < 0.75 * before
    # The last layer's rows are what the user gets.
    last = graph.convs[2].name
    read = now[last].weight / graph[last].weight
    torch.testing.assert_close(read, read[:1].expand_as(read))


def test_a_layer_behind_a_mean_is_aligned_with_the_divisor_that_its_weights_take():
    """A mean of 49 values is a sum, whose divisor goes to what reads it."""
    before, after = [], []
    for seed in range(4):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(3, 32, 1), nn.ReLU(), nn.AvgPool2d(7), nn.Conv2d(32, 32, 1, groups=32)
        )
        graph, x = fused(model, torch.randn(8, 3, 7, 7))
        last = graph.convs[-1]
        assert last.scale != 1
        for errors, each in ((before, graph), (after, aligned(graph, x))):
            errors.append(rounding_error(each, last.name).mean())
    assert sum(after) < 0.75 * sum(before)


def test_what_a_sum_adds_has_one_factor(residual):
    model, images = residual
    graph, x = fused(model, images)
    with torch.no_grad():
        before, now = run(graph, *x), run(aligned(graph, x), *x)
    factors = {}
    for conv in graph.convs:
        if conv.name in ("first", "inner"):
            most = before[conv.name].abs().amax((0, 2, 3))
            reached = now[conv.name].abs().amax((0, 2, 3))
            factors[conv.name] = torch.where(most > 0, reached / most, 1.0)
    one, other = factors.values()
    # A channel that is never filled tells nothing.
    both = (one != 1) & (other != 1)
    assert bool(both.any())
    torch.testing.assert_close(one[both], other[both])
    steps = FACTORS * one.log2()
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "model",
    [nn.AvgPool2d(2), nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU6(), nn.Conv2d(4, 5, 1))],
    ids=["nothing learns", "bounds"],
)
def test_a_network_without_free_channels_is_the_same_one(model):
    graph, x = fused(model, torch.randn(4, 3, 4, 4))
    assert aligned(graph, x) is graph
    assert equalise(graph, [x]) is graph


def test_dead_channels_stay_finite():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5))
    dead = copy.deepcopy(model)
    with torch.no_grad():
        dead[0].weight[1], dead[0].bias[1] = 0, 0
        dead[2].weight[:, 2] = 0
        dead[2].weight[3] = 0
    graph, x = fused(dead, torch.randn(40, 4))
    found = aligned(graph, x)
    assert all(bool(conv.weight.isfinite().all()) for conv in found.convs)
    # What is not dead is as free as before.
    assert not torch.equal(found.convs[0].weight[0], graph.convs[0].weight[0])
