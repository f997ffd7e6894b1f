"""Layers of volumes are layers of images, and compute what PyTorch does."""

import pytest
import torch
from torch import nn

from qnn.errors import ModelError
from qnn.frontend.capture import capture
from tests.frontend.test_odd_models import Made
from tests.frontend.test_recurrent import graph_of

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
            "(aten.max_pool3d, test_odd_models.py:39) needs ceil_mode=False for volumes, not "
            "ceil_mode=True; pad the volume",
        ),
        (
            nn.AvgPool3d(3, padding=1),
            "(aten.avg_pool3d, test_odd_models.py:39) needs padding=0, ceil_mode=False and "
            "divisor_override=None for volumes, not padding=(1, 1, 1), ceil_mode=False and "
            "divisor_override=None; pad the volume before it",
        ),
        (
            nn.AdaptiveAvgPool3d((2, 2, 2)),
            "(aten.adaptive_avg_pool3d, test_odd_models.py:39) needs a size that divides each "
            "axis of a volume, not 2 x 2 x 2 of 7 x 6 x 6; choose one that does",
        ),
        (
            nn.ConvTranspose3d(1, 1, 2),
            "(aten.conv_transpose3d, test_odd_models.py:39) is not supported; neither "
            "convolutions nor copies of pixels give it: let the network end before it, and the "
            "host do the rest",
        ),
    ],
)
def test_other_layers_of_volumes_are_refused_with_what_to_do(layer, text):
    with pytest.raises(ModelError) as caught:
        capture(volume(layer).eval(), X)
    assert str(caught.value) == f"layer 'body.0' {text}"
