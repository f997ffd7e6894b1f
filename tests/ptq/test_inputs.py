"""Networks of several inputs, from PyTorch to their integers, and the forms that data may have."""

import re

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import qnn
from qnn.errors import ModelError, QnnWarning
from qnn.frontend.capture import capture, input_counts
from qnn.ir.check import check
from qnn.ir.encode import decode, encode_input
from qnn.ir.reference import reference
from qnn.nn import artifact
from qnn.nn.training import Recipe, train
from qnn.ptq.export import export
from qnn.ptq.sensitivity import Budget
from tests.nearest import quantize


class ImageAndVector(nn.Module):
    """A scene and a state, as a policy of a robot takes them."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(2, 4, 3, stride=2), nn.Linear(5, 6)
        self.head = nn.Linear(10, 3)

    def forward(self, scene: Tensor, state: Tensor) -> Tensor:
        """Logits."""
        seen = self.conv(scene).relu().mean((2, 3))
        return self.head(torch.cat([seen, self.fc(state).relu()], 1))


class TwoImages(nn.Module):
    """Two images, compared by one tower; the second may be left out."""

    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU())

    def forward(self, left: Tensor, right: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Sums and the first tower's result."""
        one = self.tower(left)
        return (one if right is None else one + self.tower(right)), one


def images(count: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def both():
    torch.manual_seed(0)
    return ImageAndVector(), (images(12, 2, 7, 6), images(12, 5, seed=1) * 3)


def equal_to_its_integers(quantized, given: tuple[Tensor, ...]) -> None:
    """The reference on the encoded inputs gives every tensor of PyTorch, and the outputs."""
    graph = export(quantized)
    check(graph)
    tensors = quantized.tensors(*given)
    expected = reference(graph, encode_input(graph, tuple(x.numpy() for x in given)))
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor.numpy(), expected[name], name)
    pixels = any(x.dtype == torch.uint8 for x in given)
    results = quantized.from_pixels(*given) if pixels else quantized(*given)
    results = results if isinstance(results, tuple) else (results,)
    for result, wanted in zip(results, decode(graph, expected), strict=True):
        np.testing.assert_array_equal(result.detach().numpy(), wanted)


def refusal(kind, call) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_capture_of_an_image_and_a_vector(both):
    model, data = both
    assert (
        str(capture(model, data))
        == """\
scene = input() 2x7x6
state = input() 5x1x1
conv = conv(scene) 4x3x2 3x3 stride=(2,2) bias
relu = clamp(conv) 4x3x2 low=0.0
mean = averagepool(relu) 4x1x1 3x2 stride=(3,2) divisor=6
fc = conv(state) 6x1x1 1x1 bias
relu_1 = clamp(fc) 6x1x1 low=0.0
cat = concat(mean, relu_1) 10x1x1
head = conv(cat) 3x1x1 1x1 bias
return head"""
    )


def test_an_image_and_a_vector_equal_their_integers(both):
    model, data = both
    quantized = quantize(model, data, bias_correction=True)
    assert [plan.name for plan in quantized.plan.network_inputs] == ["scene", "state"]
    equal_to_its_integers(quantized, data)


def test_two_images_and_two_outputs_equal_their_integers():
    torch.manual_seed(0)
    data = (images(8, 2, 5, 5), images(8, 2, 5, 5, seed=1) * 4)
    quantized = quantize(TwoImages(), data)
    assert quantized.type("left") != quantized.type("right")
    equal_to_its_integers(quantized, data)


def test_the_terms_of_layers_can_be_chosen(both):
    model, data = both
    fits = []
    quantize(model, data, terms=Budget(1.5, fits.append))
    assert set(fits[0].terms) == {"conv", "fc", "head"}


def test_pixels_beside_reals(both):
    model, (_, state) = both
    pixels = torch.randint(0, 256, (12, 2, 7, 6), dtype=torch.uint8)
    quantized = quantize(model, (pixels, state), mean=(0.5, None), std=((0.25, 0.5), None))
    scene, other = quantized.plan.network_inputs
    assert (scene.pixels.mean, scene.pixels.std, other.pixels) == ((0.5, 0.5), (0.25, 0.5), None)
    equal_to_its_integers(quantized, (pixels, state))
    reals = scene.pixels.reals(pixels)
    assert torch.equal(quantized(reals, state), quantized.from_pixels(pixels, state))


def test_a_number_is_the_mean_of_every_input():
    torch.manual_seed(0)
    pixels = tuple(torch.randint(0, 256, (4, 2, 5, 5), dtype=torch.uint8) for _ in range(2))
    quantized = quantize(TwoImages(), pixels, mean=0.5, std=0.25)
    assert [plan.pixels.mean for plan in quantized.plan.network_inputs] == [(0.5, 0.5)] * 2
    equal_to_its_integers(quantized, pixels)


@pytest.mark.parametrize("options", [{}, {"mean": (0.5, None), "std": (0.25, None)}])
def test_an_artifact_keeps_several_inputs(both, tmp_path, options):
    model, data = both
    quantized = quantize(model, data, **options)
    artifact.save(quantized, tmp_path / "m.safetensors")
    loaded = artifact.load(tmp_path / "m.safetensors")
    assert loaded.plan == quantized.plan
    assert torch.equal(loaded(*data), quantized(*data))


def test_forms_of_data_for_several_inputs(both):
    model, data = both
    wanted = str(export(quantize(model, data)))
    labels = torch.arange(12)
    loader = DataLoader(TensorDataset(*data, labels), batch_size=5)
    for other in (
        [data],
        [list(data)],
        [tuple(x[:5] for x in data), tuple(x[5:] for x in data)],
        [(*data, labels)],
        [(data, labels)],
        [[data, labels]],
        loader,
        iter(loader),
    ):
        assert str(export(quantize(model, other))) == wanted


def test_forms_of_data_for_one_input():
    torch.manual_seed(0)
    model, x, labels = nn.Conv2d(2, 3, 3), images(8, 2, 5, 5), torch.arange(8)
    wanted = str(export(quantize(model, x)))
    loader = DataLoader(TensorDataset(x, labels), batch_size=3)
    forms = ((x,), [x], [x[:3], x[3:]], [(x, labels)], [[x, labels]], [((x,), labels)], loader)
    for other in forms:
        assert str(export(quantize(model, other))) == wanted


def test_a_tuple_of_batches_is_refused():
    x = images(8, 2, 5, 5)
    assert refusal(ModelError, lambda: quantize(nn.Conv2d(2, 3, 3), (x[:4], x[4:]))) == (
        "quantize needs data for 1 input, not 2; a tuple holds one tensor for each input, a list "
        "holds batches, as [(images, labels)]"
    )


def test_data_of_other_inputs_are_refused(both):
    model, (scene, state) = both
    assert refusal(ModelError, lambda: quantize(model, scene)) == (
        "quantize needs data for 2 inputs, not 1; a tuple holds one tensor for each input, a list "
        "holds batches, as [(images, labels)]"
    )
    assert refusal(ModelError, lambda: quantize(TwoImages(), (scene,) * 3)) == (
        "quantize needs data for 1 to 2 inputs, not 3; a tuple holds one tensor for each input, a "
        "list holds batches, as [(images, labels)]"
    )
    assert refusal(ModelError, lambda: quantize(model, (scene, state[:5]))) == (
        "quantize needs as many images for each input, not 12, 5; give one of each for every sample"
    )
    assert re.match(
        r"model \(test_inputs.py:\d+\) cannot take inputs of shapes \(5,\), \(2, 7, 6\) \(without "
        r"batch\): ",
        refusal(ModelError, lambda: quantize(model, (state, scene))),
    )
    with pytest.raises(ModelError, match=r"model.* cannot take inputs of shapes"):
        capture(model, (scene, state[None]))
    means = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5)}
    assert refusal(ModelError, lambda: quantize(model, (scene, state), **means)) == (
        "quantize needs mean and std of 2 inputs, not 3 and 2; give one entry for each input, None "
        "for one that takes reals"
    )


def test_an_input_that_nothing_reads_stays_an_input_with_a_warning():
    class Deaf(nn.Module):
        def forward(self, x, mask):
            return x.relu()

    x = images(4, 2, 5, 5)
    with pytest.warns(QnnWarning) as caught:
        quantized = quantize(Deaf(), (x, x))
    assert [str(warning.message) for warning in caught] == [
        "model input 'mask' is read by no output; it stays an input, which changes nothing"
    ]
    with torch.no_grad():
        assert torch.equal(quantized(x, x), quantized(x, 0 * x))
    design = qnn.compile(export(quantized), config="test")
    assert qnn.verify(design, (x[:1].numpy(), x[:1].numpy()), device="functional").passed


def test_a_model_called_with_too_few_inputs_is_refused(both):
    model, data = both
    quantized = quantize(model, data)
    assert refusal(ModelError, lambda: quantized(data[0])) == (
        "model needs 2 inputs ('scene', 'state'), not 1; give one tensor for each"
    )


STEPS = {"steps": 3}
METHODS = {"discquant": STEPS, "latent": STEPS, "adaround": STEPS, "gptq": None}


@pytest.mark.parametrize("rounding", METHODS)
def test_every_method_rounds_a_network_of_two_inputs(both, rounding):
    model, data = both
    quantized = quantize(model, data, rounding=rounding, rounding_options=METHODS[rounding])
    equal_to_its_integers(quantized, data)


def test_what_is_drawn_of_two_inputs_belongs_together(both):
    model, data = both
    seen = []

    def look(drawn, _generator):
        scene, state = drawn
        pairs = zip(scene, state, strict=True)
        seen.extend(
            any(
                torch.equal(a, c) and torch.equal(b, d.reshape(b.shape))
                for c, d in zip(*data, strict=True)
            )
            for a, b in pairs
        )
        return drawn

    options = {"steps": 4, "batch": 5}
    quantize(model, data, rounding="latent", terms=1, rounding_options=options, augment=look)
    assert set(seen) == {True}
    assert len(seen) >= 20


def test_training_takes_one_input(both):
    model, data = both
    quantized, labels = quantize(model, data), torch.arange(12) % 3
    assert refusal(ModelError, lambda: train(quantized, (data[0], labels), Recipe(epochs=1))) == (
        "train needs a model of one input, not 2; train the float model and quantize it"
    )


def test_the_number_of_inputs_is_that_of_forward():
    class Any(nn.Module):
        def forward(self, *inputs, **options):
            return inputs

    assert input_counts(nn.Linear(1, 1)) == range(1, 2)
    assert input_counts(ImageAndVector()) == range(2, 3)
    assert input_counts(TwoImages()) == range(1, 3)
    assert (input_counts(Any())[0], 99 in input_counts(Any())) == (1, True)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (torch.ones(4, 3), True),
        ([torch.full((1, 3), 0.5)] * 4, True),
        ((torch.ones(1, 3),), False),  # one image is no sample, and its user knows
        ([torch.ones(2, 3), torch.full((2, 3), 2.0)], False),
        (torch.eye(3), False),
    ],
)
def test_images_that_do_not_differ_are_told(data, told, recwarn):
    quantize(nn.Linear(3, 2), data, terms=1)
    assert any("images are the same" in str(each.message) for each in recwarn) == told
