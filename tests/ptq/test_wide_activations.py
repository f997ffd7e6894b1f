"""What wide activations are for reaches the outputs: sums, ranges and tables lose little of it."""

import pytest
import torch
from torch import nn

from qnn.frontend.capture import capture
from qnn.ptq.choose_index import choose_index
from qnn.ptq.export import export
from qnn.quant.histogram import Histogram
from qnn.quant.qtype import QType
from qnn.tasks.measures import signal_to_noise
from tests.functions.texts import function
from tests.nearest import quantize

FINE = {"terms": 4, "weight_bits": 4, "activation_bits": 16}


def fidelity(model, data, other):
    quantized = quantize(model.eval(), data, bias_correction=False, **FINE)
    with torch.no_grad():
        return signal_to_noise(model(other).numpy(), quantized(other).numpy())


def test_sums_of_many_wide_operands_leave_weights_their_places():
    torch.manual_seed(0)
    data = torch.randn(4, 256, 5, 5)
    # In sums of 32 bits weights of 2,304 products would have no more than 6 bits.
    assert fidelity(nn.Sequential(nn.Conv2d(256, 4, 3), nn.ReLU()), data, data) > 54


def test_sums_are_as_wide_as_ever_with_activations_of_8_bits():
    torch.manual_seed(0)
    quantized = quantize(nn.Conv2d(8, 4, 1), torch.randn(4, 8, 3, 3), terms=4)
    assert export(quantized).nodes[-1].type.bits == 32


def test_other_images_that_reach_twice_as_far_are_not_clipped():
    torch.manual_seed(0)
    data = torch.randn(4, 3, 8, 8)
    data = data / data.abs().max()
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.Conv2d(8, 4, 1), nn.ReLU())
    assert fidelity(model, data, 2 * data) > 45


@pytest.mark.parametrize(
    ("text", "bits", "reach"),
    # Beyond 3 a sigmoid is not flat yet, beyond 30 it is; and of 8 bits none is to spare.
    [("silu(x)", 12, 8), ("silu(x)", 8, 4), ("sigmoid(x)", 12, 8)],
)
def test_an_index_has_room_beyond_what_was_seen_where_the_function_is_not_flat(text, bits, reach):
    sums = Histogram.of(torch.linspace(-3.5, 3.5, 10001))
    index = choose_index(function(text), sums, bits, QType(16, True, 12))
    assert -index.low * index.scale == reach


def test_an_index_has_no_room_where_the_function_is_flat():
    sums = Histogram.of(torch.linspace(-15, 15, 10001))
    index = choose_index(function("sigmoid(x)"), sums, 12, QType(16, False, 15))
    assert -index.low * index.scale <= 16


def test_a_graph_that_was_captured_takes_the_users_sequences():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2))
    data = torch.randn(4, 3, 8)
    whole, graph = quantize(model, data), quantize(capture(model, data), data)
    assert torch.equal(whole(data), graph(data))
