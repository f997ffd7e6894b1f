"""Convolutions of groups in quantized networks: rounded, trained, exported."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from qnn.ir.encode import encode_input
from qnn.ir.reference import reference
from qnn.nn.learn import finish, learnable, prepare
from qnn.nn.round import round_module
from qnn.ptq.export import export
from qnn.ptq.sensitivity import Budget
from tests.nearest import quantize

QUICK = {
    "nearest": {},
    "discquant": {"steps": 20, "batch": 16},
    "adaround": {"steps": 20, "samples": 32},
    "gptq": {"samples": 32},
}


def network():
    """Depthwise, two outputs a channel, and groups of several channels, with BatchNorm."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(4, 4, 3, 1, 1, groups=4), nn.BatchNorm2d(4), nn.ReLU()]
    layers += [nn.Conv2d(4, 8, 3, 1, 1, groups=4, bias=False), nn.BatchNorm2d(8), nn.ReLU6()]
    layers += [nn.Conv2d(8, 6, 3, 2, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(54, 5)]
    model, data = nn.Sequential(*layers), torch.randn(64, 4, 8, 8)
    for _ in range(10):
        model(data)
    return model.eval(), data


def same_integers(quantized, data):
    graph = export(quantized)
    expected = reference(graph, encode_input(graph, data.numpy()))
    for name, tensor in quantized.tensors(data).items():
        np.testing.assert_array_equal(tensor.numpy(), expected[name], name)
    return graph


@pytest.mark.parametrize("method", QUICK)
def test_every_method_rounds_groups_and_exports_what_it_evaluates(method):
    model, data = network()
    options = {"rounding": method, "rounding_options": QUICK[method]}
    graph = same_integers(quantize(model, data, **options), data)
    assert [graph[name].window.groups for name in ("0", "3", "6")] == [4, 4, 2]


def test_terms_by_budget_and_corrected_biases_keep_groups_exact():
    model, data = network()
    quantized = quantize(model, data, terms=Budget(1.7), bias_correction=True)
    same_integers(quantized, data)


class Flat(nn.Module):
    """An image as the channels of one pixel."""

    def forward(self, x):
        return x.reshape(len(x), -1, 1, 1)


def test_groups_of_a_flattened_image_are_no_linear_layer():
    torch.manual_seed(2)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), Flat(), nn.Conv2d(27, 6, 1, groups=3))
    data = torch.randn(16, 2, 5, 5)
    quantized = quantize(model, data, weight_bits=5, terms=3)
    assert same_integers(quantized, data)["3"].window.groups == 3
    assert torch.allclose(quantized(data).float(), model(data), atol=0.05)


@pytest.mark.parametrize("statistics", ["frozen", "batch"])
def test_what_groups_learn_exports_bit_for_bit(statistics):
    model, data = network()
    quantized = quantize(model, data)
    before = {name: conv.indices() for name, conv in learnable(quantized)}
    prepare(quantized, "straight_through")
    for _, conv in learnable(quantized):
        conv.statistics = statistics
    optimizer = torch.optim.Adam(quantized.parameters(), lr=0.05)
    for _ in range(5):
        F.cross_entropy(quantized(data), torch.arange(64) % 5).backward()
        optimizer.step()
    finish(quantized)
    same_integers(quantized, data)
    assert all(not torch.equal(conv.indices(), before[n]) for n, conv in learnable(quantized))


def parts(conv):
    """The convolution of each group alone."""
    alone = []
    for weight in conv.weight.chunk(conv.groups):
        part = nn.Conv2d(weight.shape[1], len(weight), conv.kernel_size, bias=False)
        part.weight = nn.Parameter(weight.detach().clone())
        alone.append(part)
    return alone


def test_gptq_rounds_a_group_as_if_it_were_alone():
    torch.manual_seed(1)
    conv = nn.Conv2d(6, 8, 3, groups=2, bias=False)
    data = torch.randint(-4, 5, (32, 6, 7, 7)).float()  # small integers: moments are exact
    rounded = round_module(conv, ["weight"], data, "gptq", options=QUICK["gptq"])
    for got, part, x in zip(
        rounded.weight.chunk(2), parts(conv), data.chunk(2, dim=1), strict=True
    ):
        alone = round_module(part, ["weight"], x.contiguous(), "gptq", options=QUICK["gptq"])
        assert torch.equal(got, alone.weight)


@settings(max_examples=5)
@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(2, 5), st.integers(1, 2)
)
def test_groups_are_a_dense_layer_with_zeros_between_them(groups, inputs, outputs, bits, terms):
    torch.manual_seed(groups * 100 + inputs * 10 + outputs)
    conv = nn.Conv2d(groups * inputs, groups * outputs, 3, 2, 1, groups=groups)
    dense = nn.Conv2d(groups * inputs, groups * outputs, 3, 2, 1)
    with torch.no_grad():
        conv.weight.copy_(torch.randint(-32, 33, conv.weight.shape) / 64)  # float sums are exact
        conv.bias.copy_(torch.randint(-32, 33, conv.bias.shape) / 64)
        dense.bias.copy_(conv.bias)
        dense.weight.zero_()
        for group, part in enumerate(conv.weight.chunk(groups)):
            start = group * inputs
            dense.weight[group * outputs :][:outputs, start : start + inputs] = part
    data = torch.randint(-64, 65, (8, groups * inputs, 5, 6)) / 16
    found = []
    for layer in (conv, dense):
        model = nn.Sequential(layer, nn.ReLU(), nn.Conv2d(groups * outputs, 2, 1, bias=False))
        nn.init.constant_(model[2].weight, 0.25)
        quantized = quantize(model, data, weight_bits=bits, terms=terms)
        same_integers(quantized, data)
        found.append(quantized.tensors(data))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
