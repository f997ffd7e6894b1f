import numpy as np
import pytest
import torch
from torch import nn

from qnn.errors import CompileError, ModelError
from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.run import run
from qnn.ir.check import check
from qnn.ir.encode import decode, encode_input, input_reals
from qnn.ir.graph import Graph, Output
from qnn.ir.ops import Input
from qnn.ir.reference import reference
from qnn.nn.preprocess import Pixels
from qnn.ptq.export import export
from qnn.ptq.spread_pixels import spread_pixels
from qnn.quant.qtype import QType
from tests.nearest import quantize

STATISTICS = Pixels((0.3, 0.5, 0.45), (0.2, 0.31, 0.27))
ALIKE = Pixels((0.1,) * 3, (0.4,) * 3)


class Focus(nn.Module):
    """Every second pixel beside the others, as some detectors begin."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(12, 8, 3, padding=1)

    def forward(self, x):
        parts = [x[..., top::2, left::2] for top in range(2) for left in range(2)]
        return self.conv(torch.cat(parts, 1)).relu()


class Two(nn.Module):
    """An image that two layers read."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Conv2d(3, 6, 3, padding=1, groups=3), nn.Conv2d(3, 6, 1)

    def forward(self, x):
        return self.one(x) + self.other(x)


class Residual(nn.Module):
    """An image that a layer's result is added to."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x)


def padded():
    norm = nn.BatchNorm2d(8)
    norm.running_var.fill_(3.0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=2, bias=False), norm, nn.SiLU())


def flat():
    return nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3 * 16, 5))


def float_graph(model):
    torch.manual_seed(0)
    return fuse(capture(model.eval(), torch.zeros(2, 3, 8, 8)))


@pytest.mark.parametrize(
    ("make", "pixels"),
    [(padded, STATISTICS), (Two, STATISTICS), (Focus, STATISTICS), (Focus, ALIKE), (flat, ALIKE)],
)
def test_a_gain_changes_nothing_that_the_float_network_gives(make, pixels):
    graph = float_graph(make())
    spread, types = spread_pixels(graph, (pixels,), 8)
    assert list(types) == [graph.inputs[0].name]
    assert spread.inputs[0].gain is not None
    x = pixels.reals(torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8))
    wanted, got = (run(each, x)[graph.outputs[0].name] for each in (graph, spread))
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", [Residual, nn.Identity])
def test_an_image_that_meets_other_values_stays_as_it_is(make):
    graph = float_graph(nn.Sequential(make(), nn.Upsample(scale_factor=2)))
    spread, types = spread_pixels(graph, (STATISTICS,), 8)
    assert spread is graph
    assert not types


def test_an_input_of_reals_stays_as_it_is():
    graph = float_graph(padded())
    assert spread_pixels(graph, (None,), 8) == (graph, {})


@pytest.mark.parametrize("make", [padded, Two, Focus])
def test_pixels_and_their_reals_give_the_same_integers_everywhere(make):
    torch.manual_seed(0)
    pixels = torch.randint(256, (32, 3, 8, 8), dtype=torch.uint8)
    model = make().eval()
    quantized = quantize(model, pixels, mean=STATISTICS.mean, std=STATISTICS.std, terms=3)
    assert quantized.inputs[0].plan.gain is not None
    graph = export(quantized)
    integers = reference(graph, encode_input(graph, pixels[:8].numpy()))
    with torch.no_grad():
        coded = quantized.from_pixels(pixels[:8])
        of_reals = quantized(STATISTICS.reals(pixels[:8]))
    assert torch.equal(coded, of_reals)
    np.testing.assert_array_equal(coded.double().numpy(), decode(graph, integers)[0])
    again = reference(graph, encode_input(graph, STATISTICS.reals(pixels[:8]).numpy()))
    for name, tensor in integers.items():
        np.testing.assert_array_equal(tensor, again[name], name)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_reconstruction_is_compared_with_what_the_float_model_takes(dtype):
    torch.manual_seed(0)
    pixels = torch.randint(256, (16, 3, 8, 8), dtype=torch.uint8)
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.2, 0.3)
    graph = export(quantize(padded().eval(), pixels, mean=mean, std=std))
    reals = Pixels(mean, std).reals(pixels).numpy()
    own = input_reals(graph, pixels.numpy() if dtype == np.uint8 else reals)
    np.testing.assert_allclose(own, reals, atol=1e-6)


@pytest.mark.parametrize("statistics", [((0.5, 0.0),) * 3, ((0.5, 0.2),), ((np.nan, 1.0),) * 3])
def test_statistics_that_no_pixels_have_are_refused(statistics):
    type = QType(8, True, 4)
    table = np.zeros((3, 256), np.int64)
    x = Input(name="x", shape=(3, 2, 2), type=type, table=table, statistics=statistics)
    with pytest.raises(CompileError) as error:
        check(Graph((x,), (Output("x", (12,)),)))
    assert str(error.value) == (
        f"input 'x' needs a table, and a mean and a positive std for each of 3 channels, but got "
        f"{statistics}; build it again"
    )


@pytest.mark.parametrize("mean", [0.5, None])
def test_not_a_number_is_refused(mean):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()).eval()
    std = None if mean is None else 0.25
    quantized = quantize(model, torch.randn(16, 1, 8, 8), mean=mean, std=std)
    x = torch.zeros(2, 1, 8, 8)
    x[1, 0, 2, 3] = torch.nan
    with pytest.raises(ModelError) as error:
        quantized(x)
    assert str(error.value) == "input 'input' takes finite numbers, but got NaN; clean the images"


def test_every_pixel_is_told_apart():
    torch.manual_seed(0)
    pixels = torch.randint(100, 140, (32, 1, 8, 8), dtype=torch.uint8)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    quantized = quantize(model, pixels, mean=0.8, std=0.007)
    table = quantized.inputs[0].table
    # Whatever calibration saw of them.
    assert [len(channel.unique()) for channel in table] == [256]
