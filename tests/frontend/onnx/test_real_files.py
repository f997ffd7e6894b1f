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
    if lacks or not file.compiles:
        return
    fuse(graph, checked=True)
    images = tuple(torch.rand(4, *each.shape[1:]) for each in example_of(module))
    design = qnn.compile(qnn.export(quantize(module, images)))
    given = tuple(each.numpy() for each in images)
    assert qnn.verify(design, given[0] if len(given) == 1 else given, "functional").passed


def test_at_least_twelve_networks_are_listed_each_once():
    assert len({file.stored for file in FILES}) == len(FILES) >= 12
