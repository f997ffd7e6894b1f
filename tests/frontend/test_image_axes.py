"""Images along another axis than the first: taken, and given back as the model gives them."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

import qnn
from qnn.frontend.capture import capture
from qnn.ir.encode import decode, encode_input
from qnn.ir.reference import reference
from qnn.ir.text import parse, text
from tests.float_results import float_results
from tests.frontend.test_odd_models import Made
from tests.nearest import quantize


class Crnn(nn.Module):
    """A reader of lines of text: steps first, as a loss of connectionist classes wants them."""

    def __init__(self, recurrent: bool):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, (8, 1)), nn.ReLU()
        )
        self.steps = nn.GRU(8, 8) if recurrent else None
        self.letters = nn.Linear(8, 5)

    def forward(self, x):
        y = self.body(x).squeeze(2).permute(2, 0, 1)
        if self.steps is not None:
            y, _ = self.steps(y)
        return self.letters(y).log_softmax(2)


MODELS = {
    "letters of each column": lambda: Crnn(recurrent=False),
    "letters of a recurrence": lambda: Crnn(recurrent=True),
    "pixels first": lambda: Made(
        lambda m, x: m.a(x).flatten(2).permute(2, 0, 1), a=nn.Conv2d(3, 4, 3)
    ),
    "two heads that are stacked": lambda: Made(
        lambda m, x: torch.stack([m.a(x).mean((2, 3)), m.b(x).amax((2, 3))]),
        a=nn.Conv2d(3, 4, 3),
        b=nn.Conv2d(3, 4, 3),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_images_lie_where_the_model_puts_them(name):
    torch.manual_seed(0)
    model, images = MODELS[name]().eval(), torch.randn(3, 3, 16, 16)
    quantized = quantize(model, images, weight_bits=3, terms=4)
    graph = parse(text(qnn.export(quantized), full=True))
    assert graph.host.batch_axis(0) == 1
    with torch.no_grad():
        wanted, given = model(images), quantized(images)
    (found,) = decode(graph, reference(graph, encode_input(graph, images.numpy())))
    assert found.shape == tuple(given.shape) == tuple(wanted.shape)
    assert np.array_equal(found, given.numpy())
    assert np.abs(found - wanted.numpy()).max() < 0.02 * float(wanted.abs().max())
    # What losses see has images first.
    (scores,) = quantized.unfinished(images)
    assert len(scores) == 3
    (output,) = quantized.plan.given
    assert tuple(scores.shape[1:]) == output.shape


def test_a_move_inside_of_a_network_stays_there():
    model = Made(
        lambda m, x: m.a(x).transpose(0, 1).relu().transpose(0, 1), a=nn.Conv2d(3, 4, 3)
    ).eval()
    assert capture(model, torch.randn(2, 3, 8, 8)).host is None


def boxes(x, anchors, values):
    """What a detector's head gives, (images, anchors x pixels, values), in three spellings."""
    parts = x.reshape(len(x), anchors, values, -1).movedim(2, -1)
    yield parts.reshape(len(x), -1, values)
    yield parts.flatten(1, 2)
    yield x.view(len(x), anchors, values, *x.shape[2:]).permute(0, 1, 3, 4, 2).reshape(len(x), -1)


def test_images_are_found_whatever_size_is_that_of_the_batch():
    sizes = list(product((1, 2, 3), (1, 2, 3, 4), (1, 2)))  # anchors, values, pixels
    layers = nn.ModuleList(nn.Conv2d(3, a * v, 3, (1, 3 - n)) for a, v, n in sizes)

    def all_boxes(m, x):
        made = [boxes(m.layers[n](x), a, v) for n, (a, v, _) in enumerate(sizes)]
        return tuple(each for heads in made for each in heads)

    model, x = Made(all_boxes, layers=layers).eval(), torch.randn(5, 3, 3, 4)
    graph = capture(model, x)
    assert graph.host is None
    with torch.no_grad():
        for found, wanted in zip(float_results(graph, x), model(x), strict=True):
            torch.testing.assert_close(found, wanted)


JOINED = {
    # As nn.MultiheadAttention does between its layers, and gives back at the end.
    "attention": lambda: Made(
        lambda m, x: m.a(*[m.b(x)] * 3, need_weights=False)[0],
        a=nn.MultiheadAttention(16, 4, batch_first=True),
        b=nn.Linear(16, 16),
    ),
    "rows of a matrix": lambda: Made(
        lambda m, x: m.a(x.transpose(0, 1).reshape(-1, 16)).relu().view(6, -1, 8).transpose(0, 1),
        a=nn.Linear(16, 8),
    ),
    "rows of a matrix, steps first": lambda: Made(
        lambda m, x: m.a(x.transpose(0, 1).reshape(-1, 16)).relu().view(6, -1, 8),
        a=nn.Linear(16, 8),
    ),
}


@pytest.mark.filterwarnings("ignore::qnn.errors.QnnWarning")  # a few images reach further
@pytest.mark.parametrize("name", JOINED)
def test_images_that_were_joined_with_steps_come_apart_again(name):
    torch.manual_seed(0)
    model, images = JOINED[name]().eval(), 2 * torch.rand(16, 6, 16) - 1
    quantized = quantize(model, images, terms=3)
    with torch.no_grad():
        wanted, given = model(images), quantized(images)
    assert given.shape == wanted.shape
    assert float((given - wanted).abs().max()) < 0.05 * float(wanted.abs().max())
