"""A trained network through onnxruntime's quantizer and then through ours: what it still knows."""

import numpy as np
import pytest
import torch
from onnxruntime import quantization as ort

from qnn.frontend.onnx.read import from_onnx
from qnn.nn.data import digits
from qnn.nn.digits import trained_digits_cnn
from qnn.nn.zoo import ZOO
from tests.frontend.onnx.files import run
from tests.nearest import quantize


class Images(ort.CalibrationDataReader):
    """Calibration images in batches."""

    def __init__(self, images):
        self.batches = iter(images.split(64))

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {"x": batch.numpy()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("form", list(ort.QuantFormat))
def test_digits_keep_their_accuracy(form, tmp_path):
    data, entry = digits(), ZOO["digits_cnn"]
    mean, std = (torch.tensor(each).reshape(-1, 1, 1) for each in (entry.mean, entry.std))
    train, test = ((x.float() / 255 - mean) / std for x in (data.x_train[:512], data.x_test))
    model, labels = trained_digits_cnn(data), data.y_test.numpy()
    torch.onnx.export(
        *(model, (train[:1],), tmp_path / "float.onnx"),
        dynamo=False,
        input_names=["x"],
        dynamic_axes={"x": {0: "images"}},
    )
    path = tmp_path / "quantized.onnx"
    ort.quantize_static(str(tmp_path / "float.onnx"), str(path), Images(train), form)
    (theirs,) = run(path, test.numpy())
    ours = quantize(from_onnx(path), train, terms=2)(test).numpy()
    right = [np.mean(each.argmax(1) == labels) for each in (theirs, ours)]
    # Three of 360 images.
    assert right[1] > right[0] - 0.01 > 0.97
