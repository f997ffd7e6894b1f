"""Random networks: PyTorch = reference = functional simulator = RTL, every tensor."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import qnn
from hw.spec.config import named_config
from qnn.errors import CompileError, QnnWarning
from qnn.ir.encode import encode_input
from sim.rtl import MemoryTiming
from sim.verify import verify
from tests.expected import expected_tensors
from tests.graphs import Limits, graphs, images
from tests.models import at_most, models

# One configuration for all, so that one Verilator build serves them.
CONFIG = named_config("test", weight_bits=4)
# And one so small that most networks go through memory in strips.
STRIPS = replace(CONFIG, feature_words=128, weight_words=128, parameter_words=16)
LIMITS = Limits(weight_bits=CONFIG.weight_bits)
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def chain(case, batch, devices, config=CONFIG):
    """Hold all executors of one random PyTorch model to each other."""
    torch.set_num_threads(1)
    bits = at_most(case.options["weight_bits"], LIMITS.weight_bits)
    options = {**case.options, "weight_bits": bits}
    quantized = quantize_any(case, options)
    graph = qnn.export(quantized)
    x = encode_input(graph, case.images.numpy())
    expected = expected_tensors(graph, x)
    with torch.no_grad():
        pixels = case.images.dtype == torch.uint8
        real = quantized.from_pixels(case.images) if pixels else quantized(case.images)
    reals = real if isinstance(real, tuple) else (real,)
    for output, value in zip(graph.outputs, reals, strict=True):
        scale = graph[output.name].type.scale
        whole = expected[output.name].reshape(len(x), *output.shape) * scale
        np.testing.assert_array_equal(value.double().numpy(), whole)
    design = compiled(graph, batch, config)
    if design is None:
        return
    for device in devices:
        options = {"timing": MemoryTiming.stalled(batch)} if device == "rtl" else {}
        report = verify(design, x, device, expected=expected, **options)
        assert report.passed, f"{report}\n{graph}"


def quantize_any(case, options):
    """The quantized model; layers that are zero for all of so few data become constants."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QnnWarning)
        return qnn.quantize(case.model, case.calibration, **options)


def compiled(graph, batch, config=CONFIG):
    """The design, or None where the network is one that this small accelerator refuses."""
    try:
        return qnn.compile(graph, config, batch=batch)
    except CompileError:
        return None


@settings(max_examples=15, suppress_health_check=SLOW)
@given(models(), st.integers(1, 3))
def test_pytorch_reference_and_functional_agree(case, batch):
    chain(case, batch, ["functional"])


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=SLOW)
@given(models(), st.integers(1, 3))
def test_many_networks_on_the_functional_simulator(case, batch):
    chain(case, batch, ["functional"])


@pytest.mark.rtl
@settings(max_examples=5, suppress_health_check=SLOW)
@given(models(), st.integers(1, 2))
def test_pytorch_reference_functional_and_rtl_agree(case, batch):
    chain(case, batch, ["functional", "rtl"])


@pytest.mark.rtl
@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=SLOW)
@given(models(), st.integers(1, 3))
def test_many_networks_on_rtl(case, batch):
    chain(case, batch, ["functional", "rtl"])


@pytest.mark.rtl
@settings(max_examples=5, suppress_health_check=SLOW)
@given(graphs(LIMITS), st.integers(1, 2), st.integers(0, 2**20))
def test_integer_graphs_on_rtl(graph, batch, seed):
    design = compiled(graph, batch)
    if design is not None:
        report = verify(design, images(graph, batch + 1, seed), "rtl")
        assert report.passed, f"{report}\n{graph}"


@pytest.mark.rtl
@pytest.mark.parametrize("bits", [2, 3, 5])  # those of 4 bits are above
@settings(max_examples=3, suppress_health_check=SLOW)
@given(data=st.data(), seed=st.integers(0, 2**20))
def test_terms_of_any_width_on_rtl(bits, data, seed):
    config = named_config("test", weight_bits=bits, accumulator_bits=40)
    limits = replace(LIMITS, weight_bits=bits, result_bits=config.result_bits, nodes=3)
    graph = data.draw(graphs(limits))
    if (design := compiled(graph, 1, config)) is not None:
        report = verify(design, images(graph, 1, seed), "rtl")
        assert report.passed, f"{report}\n{graph}"


@pytest.mark.rtl
@pytest.mark.parametrize("pe", ["multiply", "multiply_lut"])
@settings(max_examples=3, suppress_health_check=SLOW)
@given(graph=graphs(LIMITS), seed=st.integers(0, 2**20))
def test_multipliers_give_the_same_integers(pe, graph, seed):
    config = named_config("test", pe=pe, weight_bits=8)
    if (design := compiled(graph, 1, config)) is not None:
        for device in ("functional", "rtl"):
            report = verify(design, images(graph, 1, seed), device)
            assert report.passed, f"{report}\n{graph}"


@settings(max_examples=10, suppress_health_check=SLOW)
@given(models(), st.integers(1, 3))
def test_networks_larger_than_the_chip_on_the_functional_simulator(case, batch):
    chain(case, batch, ["functional"], STRIPS)


@pytest.mark.rtl
@settings(max_examples=5, suppress_health_check=SLOW)
@given(models(), st.integers(1, 2))
def test_networks_larger_than_the_chip_on_rtl(case, batch):
    chain(case, batch, ["functional", "rtl"], STRIPS)


def in_strips(graph, batch, seed):
    """Verify in the RTL, every other time on a memory that stalls."""
    design = compiled(graph, batch, STRIPS)
    if design is not None:
        timing = MemoryTiming.stalled(seed) if seed % 2 else MemoryTiming(rate=1 + seed % 8)
        report = verify(design, images(graph, batch + 1, seed), "rtl", timing=timing)
        assert report.passed, f"{report}\n{graph}"


@pytest.mark.rtl
@settings(max_examples=5, suppress_health_check=SLOW)
@given(graphs(replace(LIMITS, size=14)), st.integers(1, 2), st.integers(0, 2**20))
def test_integer_graphs_larger_than_the_chip_on_rtl(graph, batch, seed):
    in_strips(graph, batch, seed)


@pytest.mark.rtl
@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=SLOW)
@given(graphs(replace(LIMITS, size=14)), st.integers(1, 2), st.integers(0, 2**20))
def test_many_integer_graphs_larger_than_the_chip_on_rtl(graph, batch, seed):
    in_strips(graph, batch, seed)
