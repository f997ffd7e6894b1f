"""``qnn.bench.network``: the numbers mean what they say, and wrong results have none."""

from dataclasses import replace

import numpy as np
import pytest

from hw.spec.config import named_config
from qnn.bench import network
from qnn.bench.core_clock import rate_clock
from qnn.bench.network import measure, quantized_graph
from qnn.errors import DeviceError, ModelError
from qnn.nn.zoo import ZOO
from sim.cycles import simulate_cores
from tests.compiler import small_graphs, test_parts
from tests.graphs import images

TEST = named_config("test")


def cost(**options):
    graph = small_graphs.network()
    return measure(graph, images(graph, 3), TEST, model="small", **options)


@pytest.mark.parametrize(("cores", "paths"), [(1, 1), (3, 1), (3, 3)])
def test_cycles_belong_to_all_images_and_add_up(cores, paths):
    found = cost(cores=cores, paths=paths, batch=4)
    assert found.images == 4 * cores
    assert found.cycles_per_image == found.cycles / found.images
    assert found.cycles == found.model_cycles
    hertz = rate_clock(TEST).hertz
    assert found.frames_per_second == pytest.approx(hertz / found.cycles_per_image)
    assert found.cold_latency_milliseconds == pytest.approx(found.cold_latency_cycles / hertz * 1e3)
    macs = sum(layer.macs for layer in found.layers)
    lanes = TEST.lanes * TEST.rows * TEST.columns
    assert found.utilisation == pytest.approx(
        macs / (lanes * cores) / found.cycles_per_image, rel=1e-12
    )
    spent = sum(
        layer.issue_cycles
        + layer.interval_stall_cycles
        + layer.dependence_stall_cycles
        + layer.load_stall_cycles
        + layer.store_stall_cycles
        + layer.fetch_stall_cycles
        for layer in found.layers
    )
    first = simulate_cores(compiled(4), cores, paths=paths)[0]
    assert spent * 4 + found.outside_cycles == pytest.approx(first.cycles)
    assert all(layer.issue_cycles >= layer.ideal_cycles for layer in found.layers)


def compiled(batch):
    from qnn.compiler import compile_graph

    return compile_graph(small_graphs.network(), TEST, batch)


def test_layers_that_compute_several_images_at_a_time_have_the_products_of_each():
    graph = test_parts.classifier()
    found = measure(graph, images(graph, 4), TEST, model="parts", batch=4)
    computed = {node.name: node.macs for node in graph.nodes if node.is_computed}
    assert {layer.name: layer.macs for layer in found.layers} == computed
    assert {layer.name for layer in found.layers if layer.issue_cycles} == computed.keys()


def test_one_image_alone_is_the_run_of_a_batch_of_one():
    found, alone = cost(batch=4), cost(batch=1)
    assert found.cold_latency_cycles == alone.cycles == alone.cold_latency_cycles
    assert found.cycles_per_image < alone.cycles_per_image


def test_a_wrong_value_has_no_cycles(monkeypatch):
    def wrong(design, x, device, **options):
        return replace(true(design, x, device, **options), failure="broken")

    true = network.verify
    monkeypatch.setattr(network, "verify", wrong)
    with pytest.raises(DeviceError, match=r"^functional: verify: FAIL 0/.* mismatches;  broken$"):
        cost()


def test_a_model_is_the_same_each_time_and_takes_random_images():
    (first, x), (again, _) = (quantized_graph("digits_cnn", None, None, 3) for _ in range(2))
    assert str(first) == str(again)
    assert (x.dtype, x.shape[1:]) == (np.uint8, (1, 8, 8))


def test_a_model_of_unknown_images_needs_data():
    with pytest.raises(ModelError) as error:
        quantized_graph("qnn.nn.zoo:DigitsCnn", None, None, 3)
    assert str(error.value) == (
        "bench network needs --data to know what images 'qnn.nn.zoo:DigitsCnn' takes, but got "
        f"none; give it, or name a model of the zoo ({', '.join(ZOO)})"
    )
    graph, x = quantized_graph("qnn.nn.zoo:DigitsCnn", None, "digits", 3)
    assert graph.inputs[0].shape == x.shape[1:] == (1, 8, 8)


def test_published_numbers_stand_beside_their_network_alone():
    graph = small_graphs.one_conv()
    found = measure(graph, images(graph, 1), TEST, model="resnet20", batch=1)
    assert found.published["source"] == "arXiv 2309.15631"
    assert cost().published is None


@pytest.mark.rtl
def test_the_rtl_has_the_cycles_of_the_model():
    found = cost(cores=2, batch=2, device="rtl")
    assert found.simulator == "rtl"
    assert found.cycles == found.model_cycles
    alone = cost(batch=1, device="rtl")
    assert found.cold_latency_cycles == alone.cycles
