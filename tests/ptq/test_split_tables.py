"""Tensors are divided as exactly where a divisor is small as where it is great."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import qnn
from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.run import run
from qnn.ir.reference import reference
from qnn.ptq.calibrate import observe
from qnn.ptq.choose_index import choose_index
from qnn.ptq.split_tables import divides, split_tables
from qnn.quant.histogram import Histogram
from qnn.quant.qtype import QType
from qnn.tasks.measures import signal_to_noise
from tests.functions.texts import function
from tests.nearest import quantize


class Normed(nn.Module):
    """A normalisation behind a convolution without bias, so that a dark image has dark features."""

    def __init__(self, normalise):
        super().__init__()
        self.conv, self.normalise = nn.Conv2d(3, 8, 3, padding=1, bias=False), normalise

    def forward(self, x):
        return self.normalise(self.conv(x))


NORMS = {
    "group": lambda x: F.group_norm(x, 2),
    "instance": lambda x: F.instance_norm(x),
    "layer": lambda x: F.layer_norm(x, (8, 6, 6)),
}


def of_many_ranges(spread):
    torch.manual_seed(1)
    factors = torch.logspace(0, -torch.tensor(float(spread)).log10().item(), 15)
    return torch.randn(15, 3, 6, 6) * factors[:, None, None, None]


@pytest.mark.parametrize("name", NORMS)
def test_images_of_variances_a_hundred_times_apart_are_normalised_alike(name):
    images = of_many_ranges(10)
    model = Normed(NORMS[name]).eval()
    quantized = quantize(model, images, terms=4, activation_bits=16)
    with torch.no_grad():
        wanted, got = model(images).numpy(), quantized(images).numpy()
    for each in (0, 7, 14):
        assert signal_to_noise(wanted[each : each + 1], got[each : each + 1]) > 30


def test_two_tables_are_the_function_and_the_reference():
    images = of_many_ranges(30)
    model = Normed(NORMS["group"]).eval()
    graph = fuse(capture(model, images[:1]), checked=True)
    seen = observe(graph, [(images,)])
    split, found = split_tables(graph, seen, 8)
    names = {node.name for node in split.nodes} - {node.name for node in graph.nodes}
    assert sorted(name.rpartition(".")[2] for name in names) == ["fine", "wide"]
    assert names <= found.keys()
    whole, parts = (run(each, images)[each.outputs[0].name] for each in (graph, split))
    torch.testing.assert_close(parts, whole, atol=1e-4, rtol=1e-4)
    quantized = quantize(model, images)
    tensors = quantized.tensors(images)
    exported = qnn.export(quantized)
    inputs = tensors[exported.inputs[0].name].numpy()
    for name, value in reference(exported, inputs).items():
        assert (value == tensors[name].numpy()).all(), name


def test_one_table_serves_divisors_that_are_alike():
    images = torch.randn(12, 3, 6, 6)
    graph = fuse(capture(Normed(NORMS["group"]).eval(), images[:1]))
    split, _ = split_tables(graph, observe(graph, [(images,)]), 12)
    assert str(split) == str(graph)


def test_what_is_not_multiplied_alone_is_no_divisor():
    def both(x):
        inverse = (x.square().mean((2, 3), keepdim=True) + 1).rsqrt()
        return x * inverse + inverse

    images = of_many_ranges(30)
    graph = fuse(capture(Normed(both).eval(), images[:1]))
    assert not any(divides(graph, node) for node in graph.convs)
    split, _ = split_tables(graph, observe(graph, [(images,)]), 8)
    assert str(split) == str(graph)


def test_the_index_of_a_divisor_counts_the_share_of_each_error():
    # Of variances from 1 to 300, the least are the greatest results, and all matter alike.
    sums = Histogram.of(torch.logspace(0, 2.5, 1000))
    result = QType(8, False, 8)
    plain = choose_index(function("rsqrt(x)"), sums, 8, result)
    relative = choose_index(function("rsqrt(x)"), sums, 8, result, relative=True)
    # Nothing is clipped any more.
    assert relative.high * relative.scale >= 250
    assert plain.high * plain.scale < 250


@pytest.mark.parametrize("low", [-3.0, 0.0, 0.5])
def test_a_mapped_histogram_is_that_of_the_results(low):
    values = torch.rand(4000, dtype=torch.float64) * 4 + low

    def square(x):
        return x.square() - 1

    mapped, made = Histogram.of(values).mapped(square), Histogram.of(square(values))
    assert mapped.reach == made.reach
    assert int(mapped.counts.sum()) + mapped.zeros == len(values)
    assert abs(mapped.most - made.most) < 1e-2
    means = [(each.centres * each.counts).sum() / len(values) for each in (mapped, made)]
    assert abs(means[0] - means[1]) < 1e-2


def test_sums_that_are_always_near_zero_have_the_places_of_what_they_sum():
    class Twice(nn.Module):
        def forward(self, x):
            x = F.layer_norm(x, (8,))
            return F.layer_norm(x, (8,))

    model = nn.Sequential(nn.Linear(5, 8), Twice()).eval()
    images = torch.randn(16, 5)
    quantized = quantize(model, images, terms=4, activation_bits=16)
    with torch.no_grad():
        assert signal_to_noise(model(images).numpy(), quantized(images).numpy()) > 40
