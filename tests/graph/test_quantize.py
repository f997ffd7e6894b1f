import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings

from qnn.errors import ModelError
from qnn.graph.bounds import check_bounds
from qnn.graph.check import check
from qnn.graph.export import export
from qnn.graph.quantize import quantize
from qnn.graph.reference import decode, encode_input, reference
from tests.models import models


def quantized_or_dead(case):
    """The quantized model; a network that is zero for all data is no example."""
    try:
        return quantize(case.model, case.calibration, **case.options)
    except ModelError as error:
        assume("has no range" not in str(error))
        raise


def equal_everywhere(quantized, images):
    """Number of values compared: PyTorch against the reference, every tensor and the outputs."""
    graph = export(quantized)
    check(graph)
    check_bounds(graph, 32)
    expected = reference(graph, encode_input(graph, images.numpy()))
    got = quantized.tensors(images)
    assert got.keys() == expected.keys()
    for name, tensor in got.items():
        np.testing.assert_array_equal(tensor.numpy(), expected[name], name)
    with torch.no_grad():
        pixels = images.dtype == torch.uint8
        results = quantized.from_pixels(images) if pixels else quantized(images)
    results = results if isinstance(results, tuple) else (results,)
    for result, reals in zip(results, decode(graph, expected), strict=True):
        np.testing.assert_array_equal(result.numpy(), reals)
    return sum(array.size for array in expected.values())


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(models())
def test_a_random_network_equals_its_integers(case):
    assert equal_everywhere(quantized_or_dead(case), case.images) > 0


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(models(most_layers=7))
def test_many_random_networks_equal_their_integers(case):
    assert equal_everywhere(quantized_or_dead(case), case.images) > 0
