import copy

import pytest
import torch
from torch import nn

from qnn.errors import ModelError, QnnWarning
from qnn.ir.encode import decode, encode_input
from qnn.ir.reference import reference
from qnn.nn.learn import learnable
from qnn.nn.round import Source, round_module, round_quantized
from qnn.ptq.export import export
from qnn.quant import pow2
from qnn.quant.rounding import Rounded
from qnn.quant.rounding.distillation import divergence
from qnn.quant.search_exponent import search_exponent
from tests.nearest import quantize
from tests.quant.test_rounding_discquant import PAPER

EVERY = ("nearest", "discquant", "adaround", "gptq", "latent")
QUICK = {
    "nearest": {},
    "discquant": PAPER | {"steps": 20, "batch": 16},
    "adaround": {"steps": 20, "samples": 32},
    "gptq": {"samples": 32},
    "latent": {"steps": 20, "batch": 16},
}


class Decoder(nn.Module):
    """Token by token: an embedding, attention to what came before, and logits."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(11, 16)
        self.query, self.key, self.value = (nn.Linear(16, 16, bias=False) for _ in range(3))
        self.head = nn.Linear(16, 11)

    def forward(self, tokens):
        x = self.tokens(tokens)
        mixed = nn.functional.scaled_dot_product_attention(
            self.query(x), self.key(x), self.value(x), is_causal=True
        )
        return self.head(x + mixed)


NAMES = ("query.weight", "key.weight", "value.weight", "head.weight")


def decoder():
    torch.manual_seed(0)
    return Decoder(), torch.randint(11, (64, 9))


def small():
    """Convolutions with BatchNorm, a residual addition and a linear layer."""
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm = nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
            self.second = nn.Conv2d(8, 8, 3, 1, 1)
            self.head = nn.Linear(8 * 16, 5)

        def forward(self, x):
            x = torch.relu(self.norm(self.first(x)))
            x = torch.relu(x + self.second(x))
            return self.head(nn.functional.max_pool2d(x, 2).flatten(1))

    model = Net()
    pixels = torch.randint(256, (128, 3, 8, 8), dtype=torch.uint8)
    for _ in range(20):
        model(pixels / 64 - 2)
    return model.eval(), pixels


def rounded(method="discquant", bits=3, **options):
    model, pixels = small()
    return quantize(
        model,
        pixels[:64],
        weight_bits=bits,
        rounding=method,
        mean=0.5,
        std=0.25,
        rounding_options=QUICK[method] | options,
        rounding_data=pixels,
        # What is compared is the rounding, which biases would make up for.
        bias_correction=False,
    )


def distance(quantized):
    model, pixels = small()
    with torch.no_grad():
        wanted = model((pixels / 255 - 0.5) / 0.25)
        return float(divergence(wanted, quantized.from_pixels(pixels)))


@pytest.mark.parametrize("method", EVERY)
def test_a_rounded_network_exports_what_it_evaluates(method):
    quantized = rounded(method)
    _, pixels = small()
    graph = export(quantized)
    integers = reference(graph, encode_input(graph, pixels[:8].numpy()))
    with torch.no_grad():
        got = quantized.from_pixels(pixels[:8]).double()
    assert torch.equal(got, torch.from_numpy(decode(graph, integers)[0]))
    assert quantized.plan.rounding == method
    assert not quantized.training


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_discquant_keeps_a_quantized_networks_answers_better_than_nearest(precision):
    nearest = distance(rounded("nearest"))
    assert distance(rounded(steps=40, precision=precision)) < 0.7 * nearest


def test_biases_learn_beside_the_rounding():
    plain, tuned = rounded(steps=40), rounded(steps=40, tune_bias=True, bias_steps=60)
    assert distance(tuned) < distance(plain)


def test_results_inside_of_the_network_may_count():
    assert distance(rounded(steps=40, inner_weight=0.5)) < 0.8 * distance(rounded("nearest"))


def test_drawn_images_may_be_augmented():
    model, pixels = small()
    seen = []

    def darker(images, generator):
        seen.append(int(torch.randint(99, (1,), generator=generator)))
        return images // 2

    options = PAPER | {"steps": 4, "batch": 8}
    quantize(
        model,
        pixels,
        rounding="discquant",
        mean=0.5,
        std=0.25,
        rounding_options=options,
        augment=darker,
    )
    assert len(set(seen)) == 4


def test_reals_and_batches_are_learnt_from_as_pixels_are():
    model, pixels = small()
    reals = (pixels / 255 - 0.5) / 0.25
    options = {"steps": 3, "batch": 16}
    a, b = (
        quantize(model, data, rounding="discquant", rounding_options=options)
        for data in (reals, [(reals[:64], None), (reals[64:], None)])
    )
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name])


def test_an_interrupted_run_resumes_to_the_same_bits(tmp_path):
    model, pixels = small()
    options = {"steps": 60, "batch": 16, "tune_bias": True, "bias_steps": 5}
    fixed = {"rounding": "discquant", "mean": 0.5, "std": 0.25, "rounding_options": options}
    whole = quantize(model, pixels, **fixed).state_dict()

    def stop(done, _total, _share):
        if done == 57:
            raise KeyboardInterrupt

    path = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        quantize(model, pixels, **fixed, progress=stop, checkpoint=path)
    told = []
    resumed = quantize(
        model, pixels, **fixed, progress=lambda *now: told.append(now[0]), checkpoint=path
    )
    assert told[0] == 51
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, whole[name]), name


@pytest.mark.parametrize("method", EVERY)
def test_any_module_can_be_rounded(method):
    model, tokens = decoder()
    before = copy.deepcopy(model.state_dict())
    found = round_module(model, NAMES, tokens, method, 3, options=QUICK[method])
    for name, value in found.state_dict().items():
        if name in NAMES:
            exponent = search_exponent(before[name], 3)
            indices = pow2.nearest(value, exponent, 3)
            assert torch.equal(pow2.values(indices, exponent, 3), value.double())
        else:
            assert torch.equal(value, before[name])
        assert torch.equal(model.state_dict()[name], before[name])


def test_discquant_keeps_a_decoders_answers_better_than_nearest():
    model, tokens = decoder()
    found = {
        method: round_module(model, NAMES, tokens, method, 3, options=options, tuned=("head.bias",))
        for method, options in (
            ("nearest", None),
            ("discquant", PAPER | {"steps": 50, "batch": 32, "tune_bias": True}),
        )
    }
    with torch.no_grad():
        wanted = model(tokens)
        near, disc = (float(divergence(wanted.mT, found[method](tokens).mT)) for method in found)
    assert disc < 0.7 * near


def test_results_of_modules_inside_may_count():
    model, tokens = decoder()
    options = QUICK["discquant"] | {"inner_weight": 1.0}
    plain = round_module(model, NAMES, tokens, options=options)
    inner = round_module(model, NAMES, tokens, options=options, inner=("value",))
    assert not torch.equal(plain.value.weight, inner.value.weight)


def test_a_name_that_is_no_parameter_is_refused():
    model, tokens = decoder()
    with pytest.raises(ModelError) as error:
        round_module(model, ("up.weight",), tokens)
    assert str(error.value) == (
        "rounding needs a parameter 'up.weight', which the model has not; give names as "
        "named_parameters lists them"
    )


def test_gptq_of_an_embedding_is_refused():
    model, tokens = decoder()
    with pytest.raises(ModelError) as error:
        round_module(model, ("tokens.weight",), tokens, "gptq")
    assert str(error.value) == (
        "gptq needs linear layers and 2-d convolutions that pad with zeros, but 'tokens.weight' is "
        "of a Embedding; leave it out, or choose discquant with "
        "start='original'"
    )


@pytest.mark.parametrize("method", EVERY)
def test_a_network_without_weights_stays_as_it_is(method):
    images = torch.rand(8, 2, 4, 4)
    pooled = quantize(nn.MaxPool2d(2).eval(), images, rounding=method)
    nearest = quantize(nn.MaxPool2d(2).eval(), images)
    assert torch.equal(pooled(images), nearest(images))


def test_no_names_are_refused():
    with pytest.raises(ModelError) as error:
        round_module(nn.Linear(4, 3), (), torch.randn(8, 4))
    assert str(error.value) == "discquant needs names of parameters to round, but got none"


def test_weights_that_are_not_float32_are_refused_where_they_learn():
    model, data = nn.Linear(4, 3).double(), torch.randn(8, 4).double()
    with pytest.raises(ModelError) as error:
        round_module(model, ("weight",), data)
    assert str(error.value) == (
        "discquant needs float32 weights, but 'weight' is of torch.float64; give the module's "
        ".float()"
    )
    assert round_module(model, ("weight",), None, "nearest").weight.dtype == torch.float64


def test_grids_stay_on_the_cpu_wherever_the_network_is():
    model, pixels = small()
    quantized = quantize(model, pixels, mean=0.5, std=0.25)
    before = [conv.indices() for _, conv in learnable(quantized)]
    round_quantized(quantized, Source(None, (pixels,)), device="meta")
    after = [conv.indices() for _, conv in learnable(quantized)]
    assert len(after) == 3
    assert all(map(torch.equal, after, before))


def test_one_value_is_rounded_by_its_error_and_kl_of_it_is_refused():
    model = nn.Linear(4, 1)
    for loss in ("task", "squared"):
        options = {"loss": loss, "steps": 3}
        rounded = round_module(model, ("weight",), torch.randn(8, 4), options=options)
        assert rounded.weight.shape == (1, 4)
    with pytest.raises(ModelError) as error:
        round_module(model, ("weight",), torch.randn(8, 4), options={"loss": "kl"})
    assert str(error.value) == (
        "rounding by KL needs outputs of two classes or more, not one value; use loss='squared'"
    )


class Largest:
    """A method that finds the largest weights for one channel of the last layer."""

    def choose(self, options):
        return options

    def run(self, problem, *_):
        indices = {
            name: pow2.nearest(own.w, own.exponent, own.bits, own.terms)
            for name, own in problem.layers.items()
        }
        last = list(indices)[-1]
        indices[last][:, 2] = indices[last].max()
        return Rounded(indices, {})


def test_channels_that_rounding_leaves_no_room_for_keep_the_nearest_weights(monkeypatch):
    model, pixels = small()
    options = {"weight_bits": 4, "terms": 4, "activation_bits": 16, "mean": 0.5, "std": 0.25}
    nearest = quantize(model, pixels[:64], rounding="nearest", **options)
    monkeypatch.setattr("qnn.nn.round.rounding", lambda _: Largest())
    found, source = copy.deepcopy(nearest), Source(None, (pixels,))
    with pytest.warns(QnnWarning) as told:
        round_quantized(found, source)
    assert [str(each.message) for each in told] == [
        "layer 'head': 1 of 5 channels keep the nearest weights, as sums of those that rounding "
        "chose would outgrow the accumulator; narrower activations or fewer terms leave more room"
    ]
    for (_, before), (_, after) in zip(learnable(nearest), learnable(found), strict=True):
        assert torch.equal(before.indices(), after.indices())
