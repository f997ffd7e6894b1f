"""Random networks: PyTorch = reference = functional simulator = RTL, every tensor."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import qnn
from hw.spec.config import named_config
from qnn.errors import CompileError
from sim.rtl import MemoryTiming
from sim.verify import verify
from tests.graphs import Limits, graphs, images
from tests.random_networks.campaign import some
from tests.random_networks.configs import STRIPS
from tests.random_networks.configs import TEST as CONFIG

SEED = 20  # other networks than those of a campaign
LIMITS = Limits(weight_bits=CONFIG.weight_bits)
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def compiled(graph, batch, config=CONFIG):
    """The design, or None where the network is one that this small accelerator refuses."""
    try:
        return qnn.compile(graph, config, batch=batch)
    except CompileError:
        return None


def errors_of(device, numbers):
    """What failed, of the networks with these numbers: the same ones in each run."""
    return [(each.number, each.error) for each in some(device, SEED, list(numbers)) if each.error]


def test_pytorch_reference_and_functional_agree():
    assert errors_of("functional", range(20)) == []


@pytest.mark.slow
def test_many_networks_on_the_functional_simulator():
    assert errors_of("functional", range(20, 320)) == []


@pytest.mark.rtl
@pytest.mark.parametrize("kind", range(4), ids=["whole", "in strips", "narrow", "on two cores"])
def test_pytorch_reference_functional_and_rtl_agree(kind):
    assert errors_of("rtl", range(kind, 12, 4)) == []


@pytest.mark.rtl
@pytest.mark.slow
def test_many_networks_on_rtl():
    assert errors_of("rtl", range(12, 112)) == []


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
