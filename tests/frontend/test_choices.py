"""Comparisons of two tensors, choices by them, and unpooling to where maxima were."""

import pytest
import torch
from torch import nn

import qnn
from qnn.errors import QnnError
from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.run import run
from sim.verify import verify
from tests.nearest import quantize


class Two(nn.Module):
    def __init__(self, join):
        super().__init__()
        self.one, self.other = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.join = join

    def forward(self, x):
        return self.join(torch.relu(self.one(x)), self.other(x))


class Unpooled(nn.Module):
    def __init__(self, kernel, stride, padding, ceil_mode=False):
        super().__init__()
        given = (kernel, stride, padding)
        self.first, self.middle = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.pool = nn.MaxPool2d(*given, return_indices=True, ceil_mode=ceil_mode)
        self.unpool = nn.MaxUnpool2d(*given)

    def forward(self, x):
        # After a ReLU many windows have several places that are equal.
        x = torch.relu(self.first(x))
        found, places = self.pool(x)
        return self.unpool(self.middle(found), places, output_size=x.shape[-2:])


CHOICES = {
    "where, of two tensors": lambda a, b: torch.where(a > b, a, b * 2),
    "where, of constants": lambda a, b: torch.where(a >= b, 0.75, -0.5),
    "where, of a tensor and a constant": lambda a, b: torch.where(a != b, b, 0.25),
    "where, of roots that are no numbers": lambda a, b: torch.where(b > 0, b.sqrt(), a),
    "where not, of logarithms that are no numbers": lambda a, b: torch.where(b <= 0, a, b.log()),
    "masked fill": lambda a, b: a.masked_fill(b > a, -0.5),
    "masked fill by a mask for each pixel": lambda a, b: a.masked_fill(b[:, :1] > 0.1, 0.25),
    "product with a mask": lambda a, b: a * (a <= b),
    "peaks of a heat map": lambda a, b: b * (nn.functional.max_pool2d(a, 3, 1, 1) == a).float(),
}
WINDOWS = {
    "side by side": (2, 2, 0),
    "that overlap, with padding": (3, 2, 1),
    "at every pixel": (3, 1, 1),
    "that leave a rest": (2, 2, 0, True),
    "of other sizes across": ((3, 2), (2, 1), (1, 1)),
}


def made(model, *given):
    torch.manual_seed(5)
    return model(*given).eval(), torch.randn(3, 3, 9, 7)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_is_what_pytorch_computes(choice):
    model, images = made(Two, CHOICES[choice])
    check(model, images)


@pytest.mark.parametrize("windows", WINDOWS)
def test_values_go_back_to_the_first_of_the_greatest_places(windows):
    model, images = made(Unpooled, *WINDOWS[windows])
    check(model, images)


def check(model, images):
    graph = fuse(capture(model, images[:1]), checked=True)
    # Nothing but the order of a convolution's sums may differ.
    torch.testing.assert_close(
        run(graph, images)[graph.outputs[0].name], model(images), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("model", [(Two, CHOICES["masked fill"]), (Unpooled, 3, 2, 1)])
def test_integers_are_the_same_on_the_simulated_hardware(model):
    network, images = made(*model)
    design = qnn.compile(qnn.export(quantize(network, images, terms=2)), "test")
    report = verify(design, images[:1].numpy(), "functional")
    assert report.passed
    assert report.values_compared


class Misused(nn.Module):
    def __init__(self, use):
        super().__init__()
        self.pool, self.use = nn.MaxPool2d(2, return_indices=True), use

    def forward(self, x):
        return self.use(*self.pool(x), x)


MISUSES = {
    lambda found, places, x: found + places: (
        "layer 'pool' (aten.max_pool2d_with_indices, test_choices.py:{}) needs its first result "
        "alone to be used, not result 1; leave the other out"
    ),
    lambda found, places, x: nn.functional.max_unpool2d(found, places, 2, output_size=(9, 9)): (
        "model (aten.max_unpool2d, test_choices.py:{}) needs values of shape (3, 4, 4) and a "
        "result of 8x8, not (3, 4, 4) and 9x9; unpool to the size that was pooled, with "
        "output_size"
    ),
    lambda found, places, x: nn.functional.max_unpool2d(found, places.flip(1), 2): (
        "layer 'pool' (aten.max_pool2d_with_indices, test_choices.py:{}) needs its first result "
        "alone to be used, not result 1; leave the other out"
    ),
}


@pytest.mark.parametrize("use", MISUSES)
def test_places_serve_unpooling_alone(use):
    with pytest.raises(QnnError) as error:
        capture(Misused(use), torch.randn(1, 3, 8, 8))
    before, behind = MISUSES[use].split("{}")
    assert str(error.value).startswith(before)
    assert str(error.value).endswith(behind)
