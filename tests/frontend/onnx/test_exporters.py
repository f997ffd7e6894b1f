"""Both exporters of PyTorch, of each opset that they write: what is read is the module itself."""

import logging
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qnn.frontend.onnx.compare import difference
from qnn.frontend.onnx.read import from_onnx
from qnn.nn.zoo import ZOO
from tests.frontend.onnx.test_networks import exported
from tests.release import EXPORTS_BY_PROGRAMS

pytest.importorskip("onnxscript", reason="needs pip install onnxscript")
OLD, NEW = (11, 13, 17, 20), (18, 20, 22)
BOTH = [*((opset, False) for opset in OLD), *((opset, True) for opset in NEW)]


def by_either(model, shape, path, opset, dynamo):
    """Write ``model`` for any number of images."""
    if not dynamo:
        exported(model, shape, path, opset, True)
        return
    if not EXPORTS_BY_PROGRAMS:
        pytest.skip("this release exports to ONNX by torch.export for trial alone")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            program = torch.onnx.export(
                *(model, (torch.zeros(2, *shape),)),
                **{"dynamo": True, "opset_version": opset, "verbose": False},
                dynamic_shapes=({0: torch.export.Dim("images")},),
            )
        finally:
            logging.disable(logging.NOTSET)
    program.save(str(path))


def check(model, shape, path, opset, dynamo):
    by_either(model, shape, path, opset, dynamo)
    module, images = from_onnx(path), torch.rand(3, *shape)
    assert difference(path, module).largest < 1e-5
    with torch.no_grad():
        torch.testing.assert_close(module(images), model(images), atol=1e-5, rtol=1e-5)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Hardsigmoid())

    def forward(self, x):
        y = F.silu(self.norm(self.conv(x)))
        return F.relu6(x + y * self.squeeze(y)).mean((2, 3))


class Resized(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.mix = nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(4, 8, 1)

    def forward(self, x):
        near = F.interpolate(x, scale_factor=2.0, mode="nearest")
        soft = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        one, other = self.mix(self.up(x) + near + soft).chunk(2, 1)
        return F.pixel_unshuffle(torch.cat([one[:, :, ::2], other[:, :, 1::2]], 1), 2)


class Normalised(nn.Module):
    def __init__(self):
        super().__init__()
        self.group, self.layer = nn.GroupNorm(2, 4), nn.LayerNorm(8)
        self.head = nn.Linear(8, 6)

    def forward(self, x):
        return self.head(F.gelu(self.layer(self.group(x)))).flatten(1).softmax(-1)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.LSTM(8, 5, batch_first=True), nn.GRU(5, 3, batch_first=True)

    def forward(self, x):
        return self.other(self.one(x.mean(1))[0])[0][:, -1]


class Padded(nn.Module):
    def forward(self, x):
        y = F.max_pool2d(F.pad(x, (1, 0, 2, 1)), 3, 2, ceil_mode=True)
        z = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), 2, 2, padding=1)
        return torch.cat([y.flatten(1), F.leaky_relu(z, 0.1).flatten(1)], 1).clamp(-0.5, 0.7)


FAMILIES = (Residual, Resized, Normalised, Recurrent, Padded)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("opset", "dynamo"), [(13, False), (18, True)])
def test_each_family_is_read_from_either_exporter(family, opset, dynamo, tmp_path):
    torch.manual_seed(0)
    check(family().eval(), (4, 8, 8), tmp_path / "m.onnx", opset, dynamo)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("opset", "dynamo"), BOTH)
def test_each_family_is_read_of_each_opset(family, opset, dynamo, tmp_path):
    torch.manual_seed(0)
    check(family().eval(), (4, 8, 8), tmp_path / "m.onnx", opset, dynamo)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits_cnn", "dscnn", "resnet8", "resnet20", "mobilenetv1_vww"])
@pytest.mark.parametrize(("opset", "dynamo"), BOTH)
def test_networks_of_the_zoo_are_read_of_each_opset(name, opset, dynamo, tmp_path):
    torch.manual_seed(0)
    entry = ZOO[name]
    check(entry.build().eval(), entry.shape, tmp_path / "m.onnx", opset, dynamo)
