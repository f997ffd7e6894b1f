"""Networks of several inputs and outputs: PyTorch = reference = functional simulator = RTL."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import qnn
from hw.spec.config import named_config
from qnn.errors import CompileError, ModelError
from qnn.ir.codes import Codes
from qnn.ir.encode import decode, encode_input
from qnn.ir.graph import Graph, Output
from qnn.ir.reference import reference
from qnn.runtime.tensors import pack_inputs
from sim.functional import run
from sim.simulate import simulate
from sim.verify import verify
from tests.compiler import small_graphs
from tests.expected import expected_tensors
from tests.graphs import Limits, graphs, images
from tests.nearest import quantize

CONFIG = named_config("test", weight_bits=4)
STRIPS = replace(CONFIG, feature_words=128, weight_words=128, parameter_words=16)
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


class TwoSizes(nn.Module):
    """A wide and a narrow image of other channels, joined by concatenation."""

    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(3, 6, 5, stride=2, padding=2), nn.Conv2d(1, 4, 3)
        self.joined = nn.Conv2d(10, 5, 3)

    def forward(self, wide: Tensor, narrow: Tensor) -> Tensor:
        """A map."""
        parts = self.wide(wide).relu(), self.narrow(narrow).relu()
        return self.joined(torch.cat(parts, 1))


class ImageAndVector(nn.Module):
    """What a camera sees beside a state."""

    def __init__(self):
        super().__init__()
        self.conv, self.embedding = nn.Conv2d(3, 8, 3, stride=2), nn.Linear(7, 6)
        self.head = nn.Linear(14, 4)

    def forward(self, scene: Tensor, state: Tensor) -> Tensor:
        """Logits."""
        seen = self.conv(scene).relu().mean((2, 3))
        return self.head(torch.cat([seen, self.embedding(state).relu()], 1))


class TwoOutputs(nn.Module):
    """Two images that one tower sees and an addition joins; a map and a class come out."""

    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """The sum of both, and its classes."""
        both = self.tower(left) + self.tower(right)
        return both, self.head(both.mean((2, 3)))


NETWORKS = {
    "two sizes": (TwoSizes, ((3, 14, 12), (1, 9, 8))),
    "image and vector": (ImageAndVector, ((3, 11, 9), (7,))),
    "two outputs": (TwoOutputs, ((2, 6, 7), (2, 6, 7))),
}
EACH = pytest.mark.parametrize("name", NETWORKS)


def data(shapes, count, seed=0):
    """Reals of a spread of their own for each input."""
    torch.manual_seed(seed)
    return tuple(torch.randn(count, *shape) * 3**place for place, shape in enumerate(shapes))


def quantized_and_data(name):
    kind, shapes = NETWORKS[name]
    torch.manual_seed(1)
    given = data(shapes, 12)
    return quantize(kind(), given, weight_bits=4), tuple(x[:3] for x in given)


def chain(name, batch, devices):
    """Hold all executors to each other, from tensors on."""
    torch.set_num_threads(1)
    quantized, given = quantized_and_data(name)
    graph = qnn.export(quantized)
    expected = expected_tensors(graph, encode_input(graph, given))
    for tensor, array in quantized.tensors(*given).items():
        np.testing.assert_array_equal(array.numpy(), expected[tensor], tensor)
    with torch.no_grad():
        real = quantized(*given)
    reals = real if isinstance(real, tuple) else (real,)
    for value, wanted in zip(reals, decode(graph, expected), strict=True):
        np.testing.assert_array_equal(value.double().numpy(), wanted)
    design = qnn.compile(graph, CONFIG, batch=batch)
    for device in devices:
        report = verify(design, given, device, expected=expected)
        assert report.passed, f"{report}\n{graph}"
        simulated = simulate(design, given, device)
        for output, got, value in zip(graph.outputs, simulated.outputs, reals, strict=True):
            scale = graph[output.name].type.scale
            np.testing.assert_array_equal(got * scale, value.double().numpy())


@EACH
@pytest.mark.parametrize("batch", [1, 2])
def test_pytorch_reference_and_functional_agree(name, batch):
    chain(name, batch, ["functional"])


@pytest.mark.rtl
@EACH
@pytest.mark.parametrize("batch", [1, 2])
def test_pytorch_reference_functional_and_rtl_agree(name, batch):
    chain(name, batch, ["functional", "rtl"])


def test_pixels_beside_reals():
    torch.manual_seed(1)
    pixels = torch.randint(0, 256, (8, 3, 11, 9), dtype=torch.uint8)
    (state,) = data([(7,)], 8)
    options = {"mean": (0.5, None), "std": (0.25, None)}
    graph = qnn.export(quantize(ImageAndVector(), (pixels, state), **options))
    design = qnn.compile(graph, CONFIG)
    assert [table is None for table in design.artifact.pixel_tables] == [False, True]
    assert verify(design, (pixels, state), "functional").passed


def test_each_input_is_packed_where_that_helps():
    quantized, _ = quantized_and_data("two sizes")
    image = qnn.compile(qnn.export(quantized), CONFIG, batch=2).artifact
    assert [layout.name for layout in image.inputs] == ["wide", "narrow"] * 2
    assert [layout.shape for layout in image.network_inputs] == [(3, 14, 12), (1, 9, 8)]
    assert all(layout.gather is not None for layout in image.inputs)


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(graphs(Limits(inputs=2)), st.integers(1, 2), st.sampled_from([CONFIG, STRIPS]))
def test_random_graphs_of_two_inputs(graph, batch, config):
    assert len(graph.inputs) == 2
    try:
        design = qnn.compile(graph, config, batch=batch)
    except CompileError:
        return
    report = verify(design, images(graph, batch + 1), "functional")
    assert report.passed, f"{report}\n{graph}"


@pytest.mark.rtl
@settings(max_examples=5, suppress_health_check=SLOW)
@given(graphs(Limits(inputs=2)), st.integers(1, 2), st.sampled_from([CONFIG, STRIPS]))
def test_random_graphs_of_two_inputs_on_rtl(graph, batch, config):
    try:
        design = qnn.compile(graph, config, batch=batch)
    except CompileError:
        return
    report = verify(design, images(graph, batch + 1), "rtl")
    assert report.passed, f"{report}\n{graph}"


def sequence_and_tokens():
    """A sequence and tokens that an addition joins; tokens come out."""
    length = replace(small_graphs.image(4, 9, 1), name="sound", axes="CL")
    tokens = replace(small_graphs.image(6, 9, 1), name="words", axes="TC")
    heard = small_graphs.conv("heard", length, 6, kernel=1)
    both = small_graphs.conv("both", tokens, 6, kernel=1, skip=heard)
    return Graph((length, tokens, heard, both), (Output("both", (9, 6), "TC"),))


@pytest.mark.parametrize(
    "device", ["reference", "functional", pytest.param("rtl", marks=pytest.mark.rtl)]
)
def test_a_sequence_and_tokens(device):
    graph = sequence_and_tokens()
    rng = np.random.default_rng(3)
    x = Codes(rng.integers(-128, 128, (3, 4, 9))), Codes(rng.integers(-128, 128, (3, 9, 6)))
    design = qnn.compile(graph, CONFIG, batch=2)
    (got,) = simulate(design, x, device).outputs
    tensor = reference(graph, x)["both"]
    np.testing.assert_array_equal(got, tensor[..., 0].swapaxes(1, 2))


def two_alike():
    quantized, given = quantized_and_data("two outputs")
    graph = qnn.export(quantized)
    return qnn.compile(graph, CONFIG, batch=2), encode_input(graph, given)


def wrong_layers(design, given, expected):
    report = verify(design, given, "functional", expected=expected)
    return {layer.name for layer in report.layers if not layer.passed}


def test_inputs_in_another_order_are_found():
    design, x = two_alike()
    expected = expected_tensors(design.graph, x)
    assert wrong_layers(design, x, expected) == set()
    assert wrong_layers(design, x[::-1], expected) >= {"tower.0", "tower.0_1"}


def test_one_value_of_the_second_input_is_found():
    design, x = two_alike()
    expected = expected_tensors(design.graph, x)
    left, right = x
    right = right.copy()
    right[2, 1, 3, 3] ^= 64
    wrong = wrong_layers(design, (left, right), expected)
    reads_left, reads_right = (design.graph.users(node.name)[0] for node in design.graph.inputs)
    assert reads_right.name in wrong
    assert reads_left.name not in wrong


def test_places_of_two_inputs_that_are_exchanged_are_found():
    design, x = two_alike()
    first, second = design.artifact.network_inputs
    exchanged = {first.address: second.address, second.address: first.address}
    places = tuple(
        replace(layout, address=exchanged.get(layout.address, layout.address))
        for layout in design.artifact.inputs
    )
    wrong = replace(design, artifact=replace(design.artifact, inputs=places))
    assert not verify(wrong, x, "functional").passed


def test_the_second_batch_of_each_input_lies_behind_the_first():
    design, (left, right) = two_alike()
    data = pack_inputs(design.artifact, (left, right))
    assert data.shape == (2, design.artifact.input_bytes)
    alone = pack_inputs(design.artifact, (left[2:], right[2:]))
    np.testing.assert_array_equal(data[1], alone[0])
    np.testing.assert_array_equal(
        run(design.artifact, (left, right)).outputs[0],
        reference(design.graph, (left, right))[design.graph.outputs[0].name],
    )


@pytest.mark.parametrize(
    ("take", "text"),
    [
        (
            lambda left, right: left,
            "the network needs a tuple of 2 arrays, for its inputs 'left', 'right', but got one "
            "array; give each input its own",
        ),
        (
            lambda left, right: (left, right[:2]),
            "input 'right' needs 3 images, as many as input 'left', but got 2; pair them",
        ),
        (
            lambda left, right: (left, right[:, :1]),
            "input 'right' needs images of shape (N, 2, 6, 7) with N at least 1, but got "
            "(3, 1, 6, 7); reshape them, channels first",
        ),
    ],
    ids=["one", "count", "shape"],
)
def test_arrays_that_are_not_the_inputs_are_refused(take, text):
    design, x = two_alike()
    for call in (verify, simulate):
        with pytest.raises(ModelError) as error:
            call(design, take(*x), "functional")
        assert str(error.value) == text
