"""Whole networks by way of a file: what PyTorch exports is quantized to the same integers."""

import io
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import qnn
from qnn.frontend.onnx.compare import difference
from qnn.frontend.onnx.read import from_onnx
from qnn.nn.zoo import ZOO
from tests.nearest import quantize


def exported(model: nn.Module, shape: tuple[int, ...], path, opset: int, free: bool) -> None:
    """Write ``model`` as PyTorch does, for any number of images or for one."""
    axes = {"input": {0: "images"}} if free else None
    # It warns of its own age, and a file is written whole.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = io.BytesIO()
        torch.onnx.export(
            *(model, (torch.zeros(1, *shape),), data),
            opset_version=opset,
            dynamo=False,
            input_names=["input"],
            dynamic_axes=axes,
        )
    path.write_bytes(data.getvalue())


@pytest.mark.parametrize(("opset", "free"), [(11, True), (17, False)])
def test_a_residual_network_has_the_same_integers_by_way_of_a_file(opset, free, tmp_path):
    torch.manual_seed(0)
    model, shape = ZOO["digits_cnn"].build().eval(), ZOO["digits_cnn"].shape
    exported(model, shape, path := tmp_path / "m.onnx", opset, free)
    module, images = from_onnx(path), torch.rand(8, *shape)
    assert difference(path, module).largest < 1e-6
    # PyTorch folds its normalisations, whose products round otherwise than ours.
    torch.testing.assert_close(module(images), model(images), atol=1e-6, rtol=1e-5)
    ours, theirs = (qnn.export(quantize(each, images)) for each in (module, model))
    assert [node.kind for node in ours.nodes] == [node.kind for node in theirs.nodes]
    assert ours.nodes[1].name == "stem_stem_0_Conv"
    for one, other in zip(ours.nodes[1:], theirs.nodes[1:], strict=True):
        if hasattr(one, "codes"):
            np.testing.assert_array_equal(one.codes, other.codes)


def test_weights_that_are_shared_stay_one_parameter(tmp_path):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x):
            return self.layer(self.layer(x).relu())

    exported(Twice(), (2, 4, 4), path := tmp_path / "m.onnx", 17, True)
    assert len(list(from_onnx(path).parameters())) == 2


def test_a_network_that_was_read_wrongly_is_told(tmp_path):
    exported(nn.Linear(4, 3), (4,), path := tmp_path / "m.onnx", 17, True)
    module = from_onnx(path)
    with torch.no_grad():
        next(module.parameters()).add_(1)
    assert not difference(path, module).equal
