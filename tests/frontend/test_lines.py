"""Waveforms, (batch, samples): one channel, where a model slides convolutions along them."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import qnn
from qnn.frontend.capture import capture
from qnn.frontend.faults import FaultyModel
from tests.nearest import quantize

SAMPLES = 320  # more than the pieces that channels may be cut into


class Spectrum(nn.Module):
    """A short-time transform of a waveform, as voice activity networks begin with, and a head."""

    def __init__(self):
        super().__init__()
        self.waves = nn.Conv1d(1, 8, 16, stride=8, bias=False)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        found = self.waves(F.pad(x.unsqueeze(1), (4, 4), mode="reflect"))
        power = (found[:, :4] ** 2 + found[:, 4:] ** 2).mean(-1)
        return self.head(power)


def test_a_waveform_is_a_line_where_no_vector_would_do():
    torch.manual_seed(0)
    model, x = Spectrum().eval(), torch.rand(8, SAMPLES)
    graph = capture(model, (x[:1],))
    assert (graph.inputs[0].shape, graph.inputs[0].axes) == ((1, SAMPLES, 1), "L")
    design = qnn.compile(qnn.export(quantize(model, x)), config="test")
    given = x[:3].numpy()
    assert qnn.verify(design, given, "functional").passed
    found = qnn.simulate(design, given, device="functional").results
    with torch.no_grad():
        wanted = model(x[:3]).numpy()
    # 3-bit weights of one term: near, and not equal.
    assert np.abs(found - wanted).max() < 0.25 * np.abs(wanted).max()


def test_features_stay_channels():
    graph = capture(nn.Linear(5, 2), (torch.zeros(1, 5),))
    assert (graph.inputs[0].shape, graph.inputs[0].axes) == ((5, 1, 1), None)


@pytest.mark.parametrize("to", [qnn.to_onnx, qnn.to_qonnx], ids=["onnx", "qonnx"])
def test_a_line_goes_out(to, tmp_path):
    pytest.importorskip("onnxruntime" if to is qnn.to_onnx else "qonnx")
    torch.manual_seed(1)
    graph = qnn.export(quantize(Spectrum().eval(), torch.rand(8, SAMPLES)))
    written = to(graph, tmp_path / "m.onnx")
    assert written.values_compared == written.images * 2
    if to is qnn.to_qonnx:
        back = qnn.from_qonnx(tmp_path / "m.onnx")
        assert back.inputs[0].axes == "L"


class Wide(nn.Module):
    """A waveform whose samples are channels first and then slid along: a matrix of all of them."""

    def __init__(self, samples):
        super().__init__()
        self.all = nn.Linear(samples, samples)
        self.waves = nn.Conv1d(1, 64, 16)

    def forward(self, x):
        return self.waves(self.all(x).unsqueeze(1))


def test_a_matrix_that_would_fill_memory_is_refused():
    with pytest.raises(FaultyModel) as error:
        capture(Wide(1024), (torch.zeros(1, 1024),))
    text = re.sub(r"py:\d+", "py:LINE", str(error.value))
    assert text == (
        "layer 'waves' (aten.conv1d, test_lines.py:LINE) needs a matrix of at most 4,194,304 "
        "weights for a convolution along the channels of a vector, not 1,024 x 64,576; give the "
        "samples as a sequence of one channel, (batch, 1, length)"
    )


def test_one_value_of_each_image_is_computed_with():
    class Score(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 1)

        def forward(self, x):
            return self.head(x).squeeze(-1).sigmoid() * 4 + 1

    torch.manual_seed(2)
    model, x = Score().eval(), torch.rand(8, 4)
    design = qnn.compile(qnn.export(quantize(model, x)), config="test")
    found = qnn.simulate(design, x[:3].numpy(), device="functional").results
    with torch.no_grad():
        np.testing.assert_allclose(found, model(x[:3]), atol=0.3)
    assert qnn.verify(design, x[:3].numpy(), "functional").passed
