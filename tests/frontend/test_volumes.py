"""Layers of volumes are layers of images, and compute what PyTorch does."""

import numpy as np
import pytest
import torch
from torch import nn

import qnn
from hw.spec.config import named_config
from qnn.errors import ModelError
from qnn.frontend.capture import capture
from qnn.ir.encode import decode, encode_input
from qnn.ir.reference import reference
from qnn.ir.serialize import from_bytes, to_bytes
from qnn.ir.text import parse, text
from sim.verify import verify
from tests.frontend.test_odd_models import HERE, Made
from tests.frontend.test_recurrent import graph_of
from tests.nearest import quantize

DEPTH, SIZE = 7, 6
X = torch.randn(2, DEPTH, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def volume(*layers, read=lambda x: x):
    """A network over the frames of one channel."""
    return Made(lambda m, x: read(m.body(x.unsqueeze(1))), body=nn.Sequential(*layers))


def c3d():
    return volume(
        *(nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2)),
        *(nn.Conv3d(4, 6, 3, padding=1), nn.SiLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten()),
        nn.Linear(6, 3),
    )


LAYERS = {
    "a network for video": c3d,
    "a stride, a dilation and groups": lambda: volume(
        nn.Conv3d(1, 4, (3, 3, 1), stride=(2, 1, 2), padding=(1, 0, 0)),
        nn.Conv3d(4, 4, (2, 3, 1), dilation=(2, 1, 1), groups=2, bias=False),
    ),
    "padding to the same size": lambda: volume(nn.Conv3d(1, 2, (4, 3, 3), padding="same")),
    "pools that overlap and reach over the border": lambda: volume(
        nn.Conv3d(1, 2, 1), nn.MaxPool3d(3, 2, padding=1), nn.AvgPool3d((2, 1, 1), 1)
    ),
    "the greatest and the mean of all": lambda: volume(
        nn.Conv3d(1, 2, 3), nn.Dropout3d(), read=lambda x: x.amax((2, 3, 4)) + x.mean((2, 3, 4))
    ),
    "pools to a size": lambda: volume(
        nn.Conv3d(1, 2, (2, 1, 1)), nn.AdaptiveAvgPool3d((3, 3, 2)), nn.AdaptiveMaxPool3d(1)
    ),
    "zeros around one channel and several, and means that count them": lambda: volume(
        *(nn.ZeroPad3d((1, 0, 1, 1, 2, 1)), nn.Conv3d(1, 2, 3), nn.ZeroPad3d((0, 1, 0, 0, 1, 0))),
        *(nn.ZeroPad3d((1, 1, 0, 1, 0, 0)), nn.AvgPool3d(3, 2, padding=1)),
    ),
    "a mean over frames alone": lambda: volume(nn.Conv3d(1, 2, 1), nn.AvgPool3d((3, 1, 1))),
    "channels normalised by their neighbours": lambda: Made(
        lambda m, x: m.body(x), body=nn.Sequential(nn.Conv2d(7, 8, 1), nn.LocalResponseNorm(5))
    ),
    "a block with a shortcut": lambda: Made(
        lambda m, x: (m.a(x.unsqueeze(1)) + m.b(x.unsqueeze(1))).relu(),
        a=nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.BatchNorm3d(2)),
        b=nn.Conv3d(1, 2, 1),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_volumes_are_layers_of_their_frames(name):
    torch.manual_seed(0)
    model = LAYERS[name]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    graph_of(model, X)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (
            nn.MaxPool3d(2, ceil_mode=True),
            f"(aten.max_pool3d, {HERE}) needs ceil_mode=False for volumes, not "
            "ceil_mode=True; pad the volume",
        ),
        (
            nn.AvgPool3d(3, padding=1, count_include_pad=False),
            f"(aten.avg_pool3d, {HERE}) needs count_include_pad=True for volumes, "
            "not count_include_pad=False; pad the volume before it",
        ),
        (
            nn.AdaptiveAvgPool3d((2, 2, 2)),
            f"(aten.adaptive_avg_pool3d, {HERE}) needs a size that divides each "
            "axis of a volume, not 2 x 2 x 2 of 7 x 6 x 6; choose one that does",
        ),
        (
            nn.ConvTranspose3d(1, 1, 2),
            f"(aten.conv_transpose3d, {HERE}) is not supported; neither "
            "convolutions nor copies of pixels give it: let the network end before it, and the "
            "host do the rest",
        ),
    ],
)
def test_other_layers_of_volumes_are_refused_with_what_to_do(layer, text):
    with pytest.raises(ModelError) as caught:
        capture(volume(layer).eval(), X)
    assert str(caught.value) == f"layer 'body.0' {text}"


def test_a_network_of_volumes_has_the_same_integers_everywhere():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2)),
        *(nn.Flatten(), nn.Linear(4 * 2 * 3 * 3, 5)),
    ).eval()
    x = torch.randn(8, 2, 4, SIZE, SIZE)
    quantized = quantize(model, x, 3, terms=2)
    graph = parse(text(from_bytes(to_bytes(qnn.export(quantized))), full=True))
    assert (graph.inputs[0].axes, graph.inputs[0].shape) == ("C4HW", (8, SIZE, SIZE))
    given = encode_input(graph, x[:2].numpy())
    (found,) = decode(graph, reference(graph, given))
    with torch.no_grad():
        assert np.array_equal(found, quantized(x[:2]).numpy())
    design = qnn.compile(graph, named_config("test"), batch=2)
    report = verify(design, x[:2].numpy(), "functional")
    assert report.passed, report


def test_a_volume_of_other_frames_is_refused_with_its_shape():
    model = nn.Sequential(nn.Conv3d(1, 1, 1), nn.Flatten(), nn.Linear(3 * 4 * 4, 2)).eval()
    quantized = quantize(model, torch.randn(4, 1, 3, 4, 4))
    wrong = torch.randn(2, 1, 2, 4, 4)
    needs = "input 'input' needs "
    with pytest.raises(ModelError) as caught:
        encode_input(qnn.export(quantized), wrong.numpy())
    assert str(caught.value) == (
        f"{needs}arrays of shape (N, 1, 3, 4, 4) with N at least 1, but got (2, 1, 2, 4, 4); give "
        f"it a volume, (channels, 3, height, width)"
    )
    with pytest.raises(ModelError) as caught:
        quantized(wrong)
    assert str(caught.value) == (
        f"{needs}shape (batch, 1, 3, 4, 4), not (2, 1, 2, 4, 4); reshape the data"
    )
