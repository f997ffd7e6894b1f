import numpy as np
import pytest
import torch
from torch import nn

from qnn.errors import ModelError, QnnWarning
from qnn.frontend.capture import capture
from qnn.ir.bounds import check_bounds
from qnn.ir.check import check
from qnn.ir.encode import encode_input
from qnn.ir.reference import reference
from qnn.ptq.export import export
from tests.models import quantized
from tests.nearest import quantize
from tests.random_networks.campaign import drawn
from tests.random_networks.chain import check_integers


def equal_everywhere(model, images):
    """Number of values compared: PyTorch against the reference, every tensor and the outputs."""
    graph = export(model)
    check(graph)
    check_bounds(graph, 40, 40)
    return sum(array.size for array in check_integers(model, graph, images).values())


@pytest.mark.parametrize("number", range(12))
def test_a_random_network_equals_its_integers(number):
    case = drawn(31, number)
    assert equal_everywhere(quantized(case), case.images) > 0


@pytest.mark.parametrize(
    "layers",
    [(nn.Conv1d(4, 3, 3), nn.ReLU()), (nn.Linear(6, 3), nn.ReLU())],
    ids=["a sequence", "tokens"],
)
def test_a_captured_graph_takes_the_arrays_that_its_model_takes(layers):
    model, data = nn.Sequential(*layers), torch.randn(8, 4, 6)
    captured = capture(model, data)
    given, own = quantize(captured, data), quantize(model, data)
    assert torch.equal(given(data), own(data))


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("number", range(12, 312))
def test_many_random_networks_equal_their_integers(number):
    case = drawn(31, number)
    assert equal_everywhere(quantized(case), case.images) > 0


def small(*layers, shape=(2, 4, 4), **options):
    torch.manual_seed(0)
    return quantize(nn.Sequential(*layers), torch.randn(8, *shape), **options)


def message(kind, call):
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_case_by_hand():
    conv = nn.Conv2d(1, 1, 1)
    with torch.no_grad():
        conv.weight.fill_(0.3)
        conv.bias.fill_(0.1)
    data = torch.tensor([-1.0, 1.0, 0.5, 0.25]).reshape(4, 1, 1, 1)
    quantized = quantize(nn.Sequential(conv, nn.ReLU(), nn.Conv2d(1, 1, 1)), data)
    graph = export(quantized)
    first = graph["0"]
    # 0.3 lies nearest 0.25 = 2**(2 - 3) * 2**-1; F = 6 + 3 - 1 + 1 = 9; bias = 0.1 * 2**9
    assert (str(graph.inputs[0].type), int(first.codes.item())) == ("s8e-6", 2)
    assert (first.epilogue.left.item(), first.epilogue.bias.item()) == (0, 51)
    # the greatest result is 0.4: 8 unsigned bits, all behind the point, reach 0.498
    assert (str(first.type), first.epilogue.right.item()) == ("u8e-9", 0)
    assert (first.epilogue.low, first.epilogue.high) == (0, 255)
    got = quantized.tensors(torch.tensor([0.5, -1.0]).reshape(2, 1, 1, 1))["0"]
    assert got.flatten().tolist() == [32 * 2 + 51, 0]


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    quantize(model, torch.randn(4, 2, 5, 5))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_state_makes_another_model_the_same():
    layers = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 1)
    one = small(*layers)
    other = quantize(nn.Sequential(*layers), torch.randn(8, 2, 4, 4) * 9)
    x = torch.randn(5, 2, 4, 4)
    assert not torch.equal(one(x), other(x))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x), other(x))


class Keyed(nn.Module):
    """Parts that are called like methods of ``nn.ModuleDict``."""

    def __init__(self):
        super().__init__()
        self.keys, self.update = nn.Conv2d(2, 3, 1), nn.Conv2d(3, 2, 1)

    def forward(self, values):
        return self.update(self.keys(values).relu())


def test_layers_may_have_any_name():
    x = torch.randn(4, 2, 3, 3)
    quantized = quantize(Keyed(), x)
    want = reference(export(quantized), encode_input(export(quantized), x.numpy()))
    assert list(want) == ["values", "keys", "update"]
    got = quantized.tensors(x)
    assert all(np.array_equal(want[name], got[name].numpy()) for name in want)


def test_learned_numbers_are_parameters_and_the_rest_is_not():
    quantized = small(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.AvgPool2d(2))
    names = [name for name, _ in quantized.named_parameters()]
    assert names == [f"layers.0.{name}" for name in ("weight", "gamma", "beta")]


def test_dead_channels_fit_beside_others():
    conv = nn.Conv2d(2, 5, 3, padding=1)
    with torch.no_grad():
        conv.weight[0] = 0
        conv.weight[1] *= 1e-12
        conv.weight[2] *= 1e-30
        conv.bias[1] = 1.0
        conv.weight[3] = 0
        conv.bias[3] = 0
    torch.manual_seed(0)
    data = torch.randn(8, 2, 6, 6)
    for model in (nn.Sequential(conv), nn.Sequential(conv, nn.ReLU(), nn.Conv2d(5, 2, 1))):
        assert equal_everywhere(quantize(model, data), data) > 0


def test_pixels_and_what_they_mean_give_the_same():
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (8, 3, 5, 5), dtype=torch.uint8)
    model = nn.Conv2d(3, 4, 3)
    quantized = quantize(model, pixels, mean=(0.5, 0.4, 0.3), std=0.25)
    assert equal_everywhere(quantized, pixels) > 0
    mean = torch.tensor((0.5, 0.4, 0.3))[:, None, None]
    reals = ((pixels / 255.0 - mean) / 0.25).float()
    assert torch.equal(quantized(reals), quantized.from_pixels(pixels))


def test_vectors_may_be_pixels():
    pixels = torch.randint(0, 256, (20, 5), dtype=torch.uint8)
    model, options = nn.Linear(5, 3), {"mean": 0.5, "std": 0.25}
    one = quantize(model, pixels, **options)
    assert str(export(one)) == str(export(quantize(model, (pixels / 255 - 0.5) / 0.25, **options)))
    encoded = encode_input(export(one), pixels.numpy())
    wanted = one.tensors(pixels)
    assert np.array_equal(encoded, wanted["input"].numpy())
    result = reference(export(one), encoded)
    assert all(np.array_equal(result[name], wanted[name].numpy()) for name in wanted)


def test_raw_pixels_of_0_to_255_stay_themselves():
    pixels = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8)
    quantized = quantize(nn.Conv2d(1, 1, 1), pixels, mean=0, std=1 / 255)
    assert quantized.inputs[0].table.tolist() == [list(range(256))]
    assert str(quantized.inputs[0].type) == "u8e+0"


def test_the_input_keeps_8_bits_when_others_have_fewer():
    quantized = small(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1), activation_bits=4)
    assert [quantized.type(name).bits for name in ("input", "0", "2")] == [8, 4, 32]


def test_speed_settings_do_not_change_a_bit():
    torch.manual_seed(0)
    x = torch.randn(4, 16, 12, 12)
    quantized = quantize(nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()), x)
    wanted = quantized(x)
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(quantized(x), wanted)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_sums_over_24_bits_are_exact_too():
    torch.manual_seed(0)
    data = torch.randn(4, 64, 6, 6) * 3
    model = nn.Sequential(nn.Conv2d(64, 4, 5), nn.ReLU(), nn.Conv2d(4, 2, 1))
    quantized = quantize(model, data, weight_bits=5, activation_bits=12)
    first = quantized.layer("0")
    assert float(first.reach(first.indices(), first.epilogue()).max()) > 1 << 24
    assert equal_everywhere(quantized, data) > 0


@pytest.mark.parametrize("model", ["resnet", nn.Conv2d])
def test_only_a_module_can_be_quantized(model):
    kind = type(model).__name__
    assert message(TypeError, lambda: quantize(model, torch.ones(4, 2, 3, 3))) == (
        f"quantize needs a float model, an nn.Module, not {kind}; give the network itself"
    )


def test_a_quantized_model_is_not_quantized_again():
    quantized = small(nn.Conv2d(2, 2, 1))
    assert message(TypeError, lambda: quantize(quantized, torch.ones(4, 2, 3, 3))) == (
        "quantize needs a float model, an nn.Module, not QuantizedModel; give the network itself"
    )


@pytest.mark.parametrize("bias_correction", [False, True])
def test_data_may_want_gradients(bias_correction):
    data, model = torch.randn(4, 2, 3, 3), nn.Sequential(nn.Conv2d(2, 2, 1))
    options = {"bias_correction": bias_correction}
    one = quantize(model, data, **options)
    wanting = data.clone().requires_grad_()
    for other in (wanting, [wanting], [(wanting * 1, None)], nn.Parameter(data)):
        assert str(export(quantize(model, other, **options))) == str(export(one))


NEEDS = "quantize needs calibration data, a tensor of images or batches of them, not "


@pytest.mark.parametrize("data", [[], torch.zeros(0, 2, 4, 4), [torch.zeros(0, 2, 4, 4)]])
def test_an_empty_calibration_set_is_refused(data):
    text = f"{NEEDS}an empty set; give some hundred images"
    assert message(ModelError, lambda: quantize(nn.Conv2d(2, 2, 1), data)) == text


ARRAY = torch.zeros(4, 2, 4, 4).numpy()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (ARRAY, "ndarray; give torch.from_numpy of it"),
        ([ARRAY], "ndarray; give torch.from_numpy of it"),
        ((ARRAY,), "ndarray; give torch.from_numpy of it"),
        ("digits", "str; give some hundred images"),
        (["x"], "str; give some hundred images"),
        (None, "NoneType; give some hundred images"),
        ([[1, 2]], "int; give some hundred images"),
    ],
)
def test_calibration_data_of_another_kind_are_refused(data, text):
    assert message(ModelError, lambda: quantize(nn.Conv2d(2, 2, 1), data)) == NEEDS + text


def test_a_single_number_is_no_calibration_data():
    text = "quantize needs images, not a tensor of one number; give a batch"
    assert message(ModelError, lambda: quantize(nn.Conv2d(2, 2, 1), torch.tensor(1.0))) == text


@pytest.mark.parametrize(
    ("data", "options", "text"),
    [
        (
            torch.full((1, 2, 4, 4), float("nan")),
            {},
            "quantize needs finite calibration data, not NaN or infinity; remove those images",
        ),
        (
            [torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 5, 4)],
            {},
            "quantize needs calibration data of one shape (images, channels, height, width), "
            "(images, channels, depth, height, width), (images, channels, length) or (images, "
            "features), not (1, 2, 4, 4), (1, 2, 5, 4); reshape them",
        ),
        (
            torch.zeros(1, 2, 4, 4, dtype=torch.uint8),
            {},
            "quantize needs mean and std to take 8-bit pixels, not pixels alone; give both, or "
            "what the float model takes",
        ),
        (
            torch.ones(1, 2, 4, 4),
            {"mean": 0.5},
            "quantize needs mean and std together, not one of them; give both",
        ),
        (
            torch.ones(1, 2, 4, 4),
            {"mean": (0.0, 0.0, 0.0), "std": 1.0},
            "quantize needs mean and std of 2 channels, not 3 and 2; give one value a channel",
        ),
        (
            torch.ones(1, 2, 4, 4),
            {"mean": 0, "std": (1, 0)},
            "quantize needs a finite mean and a positive std, not (0.0, 0.0) and (1.0, 0.0); "
            "correct them",
        ),
        (
            torch.zeros(1, 2, 4, 4),
            {},
            "input 'input' needs data that differ from 0, not only zeros; give data that the model "
            "will see",
        ),
        (
            torch.full((1, 2, 4, 4), 3e38),
            {},
            "layer '0' gives NaN or infinity on the calibration data; check the data's scale and "
            "the weights",
        ),
    ],
)
def test_data_that_cannot_calibrate_are_refused(data, options, text):
    conv = nn.Conv2d(2, 2, 1)
    nn.init.constant_(conv.weight, 4.0)
    assert message(ModelError, lambda: quantize(nn.Sequential(conv), data, **options)) == text


CONSTANT = (
    "layer '{}' is zero for all calibration data and becomes the constant 0; give data that reach "
    "it, or remove the layer"
)


def silenced(model, *layers):
    """The integers of a model some layers of which are zero for all data, told by name."""
    data = torch.randn(16, 2, 6, 6)
    with pytest.warns(QnnWarning) as caught:
        quantized = quantize(model.eval(), data, terms=2)
    assert [str(warning.message) for warning in caught] == [CONSTANT.format(n) for n in layers]
    assert equal_everywhere(quantized, data[:4])
    # Not only on the data that calibrated it.
    tensors = quantized.tensors(100 * torch.randn(4, 2, 6, 6))
    assert not any(tensors[name].any() for name in layers)
    return quantized, data


def test_an_activation_that_never_fires_becomes_a_constant():
    torch.manual_seed(0)
    dead = nn.Conv2d(2, 3, 1)
    nn.init.constant_(dead.bias, -100.0)
    quantized, data = silenced(nn.Sequential(dead, nn.ReLU(), nn.Conv2d(3, 1, 1)), "0")
    with torch.no_grad():
        assert len(quantized(data).unique()) == 1
    # An output of the network too.
    silenced(nn.Sequential(dead, nn.ReLU()), "0")


def test_a_branch_of_zeros_leaves_the_other_as_it_is():
    class Branches(nn.Module):
        def __init__(self, join):
            super().__init__()
            self.alive, self.dead = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 1)
            self.norm, self.join = nn.BatchNorm2d(3), join
            nn.init.zeros_(self.norm.weight)

        def forward(self, x):
            return self.join(self.alive(x).relu(), self.norm(self.dead(x)).relu())

    torch.manual_seed(0)
    for join in (torch.add, lambda x, y: torch.cat([x, y], 1)):
        quantized, data = silenced(Branches(join), "dead")
        with torch.no_grad():
            assert quantized(data)[:, :3].any()


def test_a_normalisation_without_gain_costs_its_layer_alone():
    # As residual blocks begin training: the sum passes the other operand on.
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(2, 3, 1), nn.Conv2d(3, 3, 3, padding=1)
            self.norm = nn.BatchNorm2d(3)
            nn.init.zeros_(self.norm.weight)

        def forward(self, x):
            x = self.first(x).relu()
            return (x + self.norm(self.second(x))).relu()

    torch.manual_seed(0)
    model, data = Residual().eval(), torch.randn(16, 2, 6, 6)
    quantized = quantize(model, data, terms=4)
    assert equal_everywhere(quantized, data[:4])
    with torch.no_grad():
        torch.testing.assert_close(quantized(data), model(data), atol=0.05, rtol=0.05)


def test_a_bias_without_room_is_refused():
    conv = nn.Conv2d(2, 3, 1)
    nn.init.constant_(conv.bias, -1e14)
    conv.bias.data[0] = 1.0
    text = message(ModelError, lambda: small(conv, nn.ReLU(), nn.Conv2d(3, 1, 1)))
    assert text == (
        "layer '0': channel 1 needs more than 32 bits for its sums; scale its weights and bias down"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"weight_bits": 6}, "quantize needs weight_bits from 2 to 5, not 6"),
        ({"activation_bits": 1}, "quantize needs activation_bits from 2 to 16, not 1"),
        ({"terms": 0}, "quantize needs terms from 1 to 7, not 0"),
        ({"terms": [1, 1]}, "quantize needs terms from 1 to 7, not [1, 1]"),
        ({"terms": {"0": [1, 8]}}, "quantize needs terms from 1 to 7 for '0', not 8"),
        (
            {"rounding": "up"},
            "rounding must be one of auto, nearest, discquant, adaround, gptq, latent, not 'up'",
        ),
        ({"ties": "down"}, "ties must be one of even, up, not 'down'"),
    ],
)
def test_formats_that_do_not_exist_are_refused(options, text):
    assert message(ValueError, lambda: small(nn.Conv2d(2, 2, 1), **options)) == text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"requantize": True}, "requantize"),
        ({"ties": "up"}, "ties"),
        ({"requantize": True, "ties": "up"}, "requantize, ties"),
    ],
)
def test_options_of_quantizers_that_a_network_lacks_are_not_ignored(options, named):
    assert message(ModelError, lambda: small(nn.Conv2d(2, 2, 1), **options)) == (
        f"{named} of quantize needs a network with quantizers of its own, as of Brevitas or QONNX, "
        f"but this one has none; leave it out"
    )


def test_a_wrong_input_shape_is_refused():
    quantized = small(nn.Conv2d(2, 2, 1))
    assert message(ModelError, lambda: quantized(torch.zeros(1, 3, 4, 4))) == (
        "input 'input' needs shape (batch, 2, 4, 4), not (1, 3, 4, 4); reshape the data"
    )
    pixels = torch.zeros(1, 2, 4, 4, dtype=torch.uint8)
    assert message(ModelError, lambda: quantized.from_pixels(pixels)) == (
        "input 'input' takes reals, not 8-bit pixels; quantize with mean and std"
    )
    assert message(ModelError, lambda: quantized(pixels)) == (
        "input 'input' takes reals here, not 8-bit pixels; use from_pixels"
    )
    assert message(ModelError, lambda: quantized.from_pixels(pixels.float())) == (
        "input 'input' takes 8-bit pixels here, not torch.float32; pass uint8, or call the model"
    )
