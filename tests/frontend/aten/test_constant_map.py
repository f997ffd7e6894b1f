"""Constants that differ from place to place are added, multiplied, divided by and concatenated."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import qnn
from hw.spec.config import named_config
from qnn.errors import ModelError
from qnn.frontend.capture import capture
from qnn.ir.encode import encode_input
from sim.verify import verify
from tests.frontend.checks import check_floats, check_integers
from tests.nearest import quantize

torch.manual_seed(5)
PLACES = torch.rand(8, 6, 6) + 0.5
ROWS = torch.rand(6, 1) + 0.5
COLUMNS = torch.rand(1, 8, 1, 6) + 0.5
GRID = torch.stack(
    torch.meshgrid(torch.linspace(-1, 1, 6), torch.linspace(-1, 1, 6), indexing="ij"), 0
)


def normed(x):
    return F.layer_norm(x, (8, 6, 6), PLACES, PLACES - 1)


def embedded(x):
    """Tokens with a position each."""
    x = x.flatten(2).transpose(1, 2)
    return F.linear((x + PLACES.flatten(1).T).mean(1), torch.eye(8))


FORMS = {
    "a sum": lambda x: x + PLACES,
    "a difference": lambda x: x - PLACES,
    "a difference turned round": lambda x: PLACES - x,
    "a product": lambda x: x * PLACES,
    "a product with rows": lambda x: ROWS * x,
    "a product with columns": lambda x: x * COLUMNS,
    "a quotient": lambda x: x / PLACES,
    "a quotient turned round": lambda x: PLACES / (x * x + 1),
    "coordinates": lambda x: torch.cat([x, GRID.expand(len(x), 2, 6, 6)], 1),
    "a layer norm of its own weights": normed,
    "positions of tokens": embedded,
}


class Constants(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.conv, self.form = nn.Conv2d(3, 8, 3, padding=1), form

    def forward(self, x):
        found = self.form(self.conv(x))
        # At the end of a network the host would have it.
        return F.max_pool2d(found, 2) if found.dim() == 4 else found


@pytest.mark.parametrize("name", FORMS)
def test_a_constant_map_is_an_operand(name):
    torch.manual_seed(1)
    model, images = Constants(FORMS[name]).eval(), torch.randn(8, 3, 6, 6)
    check_floats(model, images)
    check_integers(model, images, decibels=40)


@pytest.mark.parametrize("size", [6, 24])
def test_a_network_with_a_map_verifies(size):
    torch.manual_seed(1)
    places = torch.rand(8, size, size)
    model, images = Constants(lambda x: x * places).eval(), torch.randn(4, 3, size, size)
    graph = qnn.export(quantize(model, images, 3, terms=2))
    design = qnn.compile(graph, named_config("test", activation_bits=8))
    report = verify(design, encode_input(graph, images[:1].numpy()), "functional")
    assert report.passed, report


def test_a_map_that_is_too_large_is_refused():
    places = torch.rand(8, 100, 101)
    with pytest.raises(ModelError) as caught:
        capture(Constants(lambda x: x * places).eval(), torch.zeros(1, 3, 100, 101))
    assert str(caught.value).partition(") ")[2] == (
        "needs one number as other, or one for each channel, not a constant of shape (8, 100, 101) "
        "that differs from place to place; give the map as a second input of the network, or add "
        "a bias for each channel"
    )
