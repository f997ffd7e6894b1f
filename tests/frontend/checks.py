"""What each form of a network is checked for, from the model to the integers of the reference."""

import torch
from torch import Tensor, nn

import qnn
from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.ir.reference import reference
from qnn.tasks.measures import signal_to_noise
from tests.float_results import float_results
from tests.nearest import quantize


def check_floats(model: nn.Module, images: Tensor) -> None:
    """The fused graph computes what the model does."""
    fused = fuse(capture(model, images[:1]), checked=True)
    (got,) = float_results(fused, images)
    torch.testing.assert_close(got, model(images), atol=1e-5, rtol=1e-5)


def check_integers(model: nn.Module, images: Tensor, decibels: float) -> None:
    """Every integer is the reference's, and the finest are nearer to the model than that."""
    quantized = quantize(model, images, terms=4, activation_bits=16)
    tensors, graph = quantized.tensors(images), qnn.export(quantized)
    for tensor, found in reference(graph, tensors[graph.inputs[0].name].numpy()).items():
        assert (found == tensors[tensor].numpy()).all(), tensor
    with torch.no_grad():
        assert signal_to_noise(model(images).numpy(), quantized(images).numpy()) > decibels
