"""Phases of what enlarges an image are plain layers: saved, rounded with data and trained."""

import pytest
import torch
from torch import nn

import qnn
from qnn.ir.encode import encode_input
from qnn.ir.ops import Interleave
from qnn.ir.reference import reference
from tests.nearest import quantize
from tests.nn.checks import check_saved

X = torch.randn(16, 3, 5, 6, generator=torch.Generator().manual_seed(3))


def upsampling():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()),
        *(nn.ConvTranspose2d(6, 4, 3, 2, 1, 1), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 2, 1)),
    ).eval()


def test_a_saved_model_with_phases_loads_as_it_was(tmp_path):
    check_saved(quantize(upsampling(), X), X, tmp_path / "up.safetensors")


@pytest.mark.parametrize("rounding", ["gptq", "discquant"])
def test_phases_are_rounded_with_data(rounding):
    options = {"steps": 4} if rounding == "discquant" else None
    quantized = quantize(upsampling(), X, rounding=rounding, rounding_options=options)
    graph = qnn.export(quantized)
    codes = encode_input(graph, X.numpy())
    output = graph.outputs[0].name
    integers = torch.from_numpy(reference(graph, codes)[output])
    assert torch.equal(integers.double() * graph[output].type.scale, quantized(X).double())
    assert sum(isinstance(node, Interleave) for node in graph.nodes) == 2


def test_phases_learn_in_training():
    quantized = quantize(upsampling(), X).train()
    quantized(X).square().mean().backward()
    phases = [quantized.layer(f"2.{place}") for place in ("0_0", "0_1", "1_0", "1_1")]
    assert all(bool(phase.weight.grad.any()) for phase in phases)
