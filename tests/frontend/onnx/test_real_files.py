"""Networks that others made are equal to onnxruntime, or refused by their operators' names."""

import pytest
import torch

import qnn
from qnn.frontend.capture import capture
from qnn.frontend.example import example_of
from qnn.frontend.faults import FaultyModel
from qnn.frontend.fuse import fuse
from qnn.frontend.onnx.compare import difference
from qnn.frontend.onnx.read import from_onnx
from tests.frontend.onnx.real_files import FILES
from tests.nearest import quantize


@pytest.mark.networks
@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_network_is_equal_or_its_operators_are_told(file):
    if not file.stored.exists():
        pytest.skip("not fetched; run python -m tests.frontend.onnx.real_files")
    lacks = set()
    try:
        module = from_onnx(file.stored, file.shapes or None)
        assert difference(file.stored, module).equal
        graph = capture(module, example_of(module))
    except FaultyModel as error:
        lacks = {fault.site.operator for fault in error.faults}
    assert lacks == set(file.lacks)
    if lacks:
        return
    fuse(graph, checked=True)
    if file.array is not None:
        assert qnn.verify(*compiled(module, file.array), "functional").passed


def compiled(module, array):
    """The design of a network, quantized on random images, and one image."""
    images = tuple(torch.rand(4, *each.shape[1:]) for each in example_of(module))
    design = qnn.compile(qnn.export(quantize(module, images)), config=array)
    given = tuple(each[:1].numpy() for each in images)
    return design, given[0] if len(given) == 1 else given


@pytest.mark.rtl
@pytest.mark.parametrize("file", [each for each in FILES if each.rtl], ids=str)
def test_the_verilog_computes_a_network(file):
    if not file.stored.exists():
        pytest.skip("not fetched; run python -m tests.frontend.onnx.real_files")
    module = from_onnx(file.stored, file.shapes or None)
    assert qnn.verify(*compiled(module, file.array), "rtl").passed


def test_networks_are_listed_each_once_and_enough_are_compiled():
    assert len({file.stored for file in FILES}) == len(FILES) >= 12
    assert sum(file.array is not None for file in FILES) >= 8
    assert sum(file.rtl for file in FILES) >= 2
