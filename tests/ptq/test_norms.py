"""What a tensor of zeros is divided by counts for nothing, and costs the others no place."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.ptq.calibrate import observe
from qnn.ptq.norms import weighed
from qnn.ptq.split_tables import divides
from qnn.quant.histogram import Histogram
from tests.frontend.test_odd_models import Made
from tests.nearest import quantize

NORMS = {
    "by the norm of channels": lambda m, x: F.normalize(m.conv(x).relu()),
    "by the sizes of channels": lambda m, x: F.normalize(m.conv(x).relu(), p=1.0),
    "by the deviation of channels": lambda m, x: F.layer_norm(m.conv(x).movedim(1, -1), (8,)),
    "by the deviation of pixels": lambda m, x: F.instance_norm(m.conv(x)),
}


def made(function):
    torch.manual_seed(0)
    return Made(function, conv=nn.Conv2d(3, 8, 1, bias=False)).eval()


@pytest.mark.parametrize("dead", [1, 20])
@pytest.mark.parametrize("name", NORMS)
def test_black_pixels_and_dead_channels_cost_the_others_nothing(name, dead):
    model, images = made(NORMS[name]), torch.rand(16, 3, 8, 8)
    if "pixels" in name:
        nn.init.zeros_(model.conv.weight[: 1 + dead // 10])
    else:
        images.flatten(2)[:, :, :dead] = 0
    with torch.no_grad():
        found, wanted = quantize(model, images, terms=3)(images), model(images)
    assert float((found - wanted).square().mean()) < 2e-3 * float(wanted.square().mean())


@pytest.mark.parametrize(
    ("function", "norm"),
    [
        (NORMS["by the norm of channels"], True),
        (lambda m, x: x[:, :1] / (1 + m.conv(x).square().sum(1, keepdim=True)), False),
        (lambda m, x: m.conv(x) * (1 + m.conv(x).exp().sum(1, keepdim=True)).rsqrt(), False),
    ],
    ids=["of what is divided", "of another tensor", "of what is never nothing"],
)
def test_divisors_of_0_count_where_something_is_divided_by_them(function, norm):
    data = torch.rand(4, 3, 5, 5)
    graph = fuse(capture(made(function), data))
    (conv,) = (node for node in graph.convs if divides(graph, node))
    sums = observe(graph, [(data,)])[f"{conv.name} sum"]
    assert (weighed(graph, conv, sums) is not sums) == norm


def test_a_histogram_by_value_counts_greater_values_more_often():
    found = Histogram.of(torch.tensor([0.0, 0.0, 1.0, 3.0, 3.0])).by_value()
    assert found.zeros == 0
    one, three = found.counts[found.counts > 0].tolist()
    assert three / one == pytest.approx(2 * 3, rel=1e-3)
    assert found.least == pytest.approx(1, rel=1e-3)
    assert Histogram.of(torch.zeros(3)).by_value() is None
