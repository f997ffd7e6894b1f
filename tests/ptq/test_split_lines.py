"""Functions that are nearly a ReLU keep what wide activations are for."""

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
from qnn.ptq.outliers import Peaks
from qnn.ptq.split_lines import split_lines
from qnn.tasks.measures import signal_to_noise
from tests.nearest import quantize

LIKE_RELU = {
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
    "hardswish": nn.Hardswish(),
    "mish": nn.Mish(),
    "softplus": nn.Softplus(),
    "elu": nn.ELU(),
    "leaky": nn.LeakyReLU(0.1),
    "logsigmoid": nn.LogSigmoid(),
}


class Unpooled(nn.Module):
    """The greatest values at their places, which comparisons find, and zeros elsewhere."""

    def forward(self, x):
        return F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)


ONE_TABLE = {"sigmoid": nn.Sigmoid(), "tanh": nn.Tanh()}


class Activated(nn.Module):
    """A convolution and a function of its sums, which another layer reads."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(2)
        self.conv, self.function = nn.Conv2d(3, 8, 3, padding=1), function
        # Sums of a network reach some times as far as most of them lie.
        nn.init.normal_(self.conv.weight, std=0.5)
        self.last = nn.Conv2d(8, 4, 1)

    def forward(self, x):
        return self.last(self.function(self.conv(x)))


def images():
    return torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(3))


def split_of(function, bits):
    graph, peaks = fuse(capture(Activated(function).eval(), images())), Peaks()
    split, seen = split_lines(graph, observe(graph, [(images(),)], peaks), bits, peaks)
    return graph, split, seen, peaks


@pytest.mark.parametrize("name", LIKE_RELU)
def test_a_function_near_a_relu_costs_wide_activations_nothing(name):
    model = Activated(LIKE_RELU[name]).eval()
    # Weights of five terms, so that what is lost is the function's.
    quantized = quantize(model, images(), weight_bits=4, terms=5, activation_bits=16)
    with torch.no_grad():
        assert signal_to_noise(model(images()).numpy(), quantized(images()).numpy()) > 64


@pytest.mark.parametrize("name", LIKE_RELU)
def test_a_line_and_a_table_are_the_function(name):
    graph, split, seen, peaks = split_of(LIKE_RELU[name], 16)
    names = {node.name for node in split.nodes} - {node.name for node in graph.nodes}
    assert names == {"conv.straight", "conv.curve", "conv.whole"}
    assert names <= seen.keys()
    assert peaks.furthest.keys() <= {node.name for node in split.nodes}
    whole, parts = (run(each, images())[each.outputs[0].name] for each in (graph, split))
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-5)


def test_a_line_and_a_table_are_the_same_integers_in_the_reference():
    quantized = quantize(Activated(nn.SiLU()).eval(), images(), terms=4, activation_bits=16)
    tensors, exported = quantized.tensors(images()), qnn.export(quantized)
    inputs = tensors[exported.inputs[0].name].numpy()
    for name, value in reference(exported, inputs).items():
        assert (value == tensors[name].numpy()).all(), name


def test_the_functions_result_is_still_an_output():
    model = Activated(nn.Hardswish()).eval()
    model.last = nn.Identity()
    quantized = quantize(model, images(), weight_bits=4, terms=5, activation_bits=16)
    with torch.no_grad():
        assert signal_to_noise(model(images()).numpy(), quantized(images()).numpy()) > 64


def test_a_product_with_a_function_is_split_too():
    class Gated(nn.Module):
        def forward(self, x):
            return F.silu(x * x.flip(1))

    quantized = quantize(Gated(), images(), activation_bits=16)
    with torch.no_grad():
        assert signal_to_noise(Gated()(images()).numpy(), quantized(images()).numpy()) > 64


@pytest.mark.parametrize("bits", [8, 12])
def test_narrow_activations_keep_one_table(bits):
    graph, split, *_ = split_of(nn.SiLU(), bits)
    assert str(split) == str(graph)


def test_a_comparison_keeps_one_table():
    graph, split, *_ = split_of(Unpooled(), 16)
    functions = [node.unfused()[-1].as_function for node in graph.nodes]
    assert any(function is not None and function.is_mask for function in functions)
    assert str(split) == str(graph)


@pytest.mark.parametrize("name", ONE_TABLE)
def test_a_function_that_ends_flat_keeps_one_table(name):
    graph, split, *_ = split_of(ONE_TABLE[name], 16)
    assert str(split) == str(graph)


def test_a_layers_formats_go_by_its_name_as_before():
    bits = {"conv": 3, "last": 4}
    quantized = quantize(
        Activated(nn.SiLU()).eval(), images(), weight_bits=bits, activation_bits=16
    )
    found = {conv.name: conv.weight_bits for conv in quantized.plan.convs if not conv.fixed}
    assert found == bits
