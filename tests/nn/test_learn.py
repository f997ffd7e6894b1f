import copy
import functools
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qnn.errors import ModelError
from qnn.ir.encode import encode_input
from qnn.ir.reference import reference
from qnn.nn.learn import finish, finished, folded_copy, learnable, prepare
from qnn.nn.learning import LearnedExponent
from qnn.ptq.export import export
from qnn.quant import pow2
from qnn.quant.estimators import ESTIMATORS
from tests.models import as_arrays, as_tuple, quantized, results_of
from tests.nearest import quantize
from tests.random_networks.campaign import drawn

EVERY_TERM = ("straight_through", "clipped_straight_through", "reconstructed", "lsq", "inq")


def small():
    """Two convolutions with BatchNorm and a linear layer, quantized, and data: copies."""
    made = copy.deepcopy(_small())
    torch.manual_seed(1)  # what a test draws does not depend on who made the original
    return made


@functools.cache
def _small():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, 1, 1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 5, 3, 2, 1),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(5 * 16, 4),
    )
    data = torch.randn(64, 2, 8, 8)
    model.train()
    for _ in range(20):
        model(data)
    return quantize(model.eval(), data, weight_bits=3), data


def integers_equal(model, images):
    graph = export(model)
    expected = reference(graph, encode_input(graph, as_arrays(images)))
    for name, tensor in model.tensors(*as_tuple(images)).items():
        np.testing.assert_array_equal(tensor.numpy(), expected[name], name)


@pytest.mark.parametrize("number", range(15))
def test_training_computes_what_evaluation_computes(number):
    case = drawn(32, number)
    model = quantized(case)
    for module in model.modules():
        if hasattr(module, "weight") and hasattr(module, "reach"):
            if float(module.reach(module.indices(), module.epilogue()).max()) >= 1 << 23:
                return  # float32, which training computes with, is not exact there
    wanted = results_of(model, case.images)
    for got, expected in zip(results_of(model.train(), case.images), wanted, strict=True):
        assert torch.equal(got, expected.float())


@pytest.mark.parametrize("method", sorted(ESTIMATORS))
def test_a_model_that_did_not_learn_is_what_it_was_and_exports(method):
    case = drawn(33, sorted(ESTIMATORS).index(method))
    if method not in EVERY_TERM:
        case = replace(case, options={**case.options, "terms": 1}, mixed=None)
    model = quantized(case)
    try:
        prepare(model, method)
    except ValueError:
        return  # the method has no such format
    finish(model)
    integers_equal(model, case.images)


def every_tensor(model, data):
    return model._run(model._encode((data,), [False]), keep=True)


def activated(activation, weight_bits=3):
    """Two convolutions and a linear layer without BatchNorm, quantized."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, 1, 1),
        activation,
        nn.Conv2d(6, 5, 3, 2, 1),
        activation,
        nn.Flatten(),
        nn.Linear(5 * 16, 4),
    )
    data = torch.randn(64, 2, 8, 8) * 3
    return quantize(model.eval(), data, weight_bits=weight_bits), data


@torch.no_grad()
@pytest.mark.parametrize("more", [-1, 0, 1, 2])
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-0.5, 0.75)])
def test_training_computes_what_is_kept_where_exponents_moved(activation, more):
    quantized, data = activated(activation)
    prepare(quantized, "lsq", learn_exponents=True)
    for exponent in quantized.learned_exponents.values():
        exponent.value.add_(more)
    for _, conv in learnable(quantized):
        conv.estimator.log_scale.add_(more)
    kept = finished(quantized)
    trained, evaluated = (
        model._run(model._encode((data,), [False]), keep=True) for model in (quantized, kept)
    )
    for layer in quantized.plan.layers[:-1]:
        assert torch.equal(trained[layer.name], evaluated[layer.name]), layer.name
    last = kept.layer(kept.plan.layers[-1].name)
    assert float((quantized(data) - kept(data)).abs().max()) <= last.type.scale


@torch.no_grad()
def test_training_computes_what_is_kept_of_the_authors_levels():
    quantized, data = activated(nn.ReLU())
    prepare(quantized, "reconstructed", levels="authors")
    for _, conv in learnable(quantized):
        conv.estimator.advance(1.0)
    kept = finished(quantized)
    trained, evaluated = (
        model._run(model._encode((data,), [False]), keep=True) for model in (quantized, kept)
    )
    for layer in quantized.plan.layers[:-1]:
        assert torch.equal(trained[layer.name], evaluated[layer.name]), layer.name


@torch.no_grad()
def test_results_that_float16_cannot_hold_are_wider():
    quantized, data = activated(nn.ReLU(), weight_bits=5)
    wanted = quantized(data)
    assert float(wanted.abs().max()) * 2.0 ** int(quantized.layer("5").exponent) > 65504
    prepare(quantized)
    with torch.autocast("cpu", torch.float16):
        got = quantized(data)
    assert float((got - wanted).abs().max()) < 0.05 * float(wanted.abs().max())


def step(quantized, data, rate=0.05):
    labels = torch.arange(len(data)) % 4
    optimizer = torch.optim.Adam(quantized.parameters(), lr=rate)
    F.cross_entropy(quantized(data), labels).backward()
    optimizer.step()


@pytest.mark.parametrize("learn_exponents", [False, True])
@pytest.mark.parametrize("statistics", ["frozen", "batch"])
def test_what_was_learnt_exports_bit_for_bit(statistics, learn_exponents):
    quantized, data = small()
    before = copy.deepcopy(quantized)
    prepare(quantized, "lsq" if learn_exponents else "straight_through", learn_exponents)
    for _, conv in learnable(quantized):
        conv.statistics, conv.ghost_batch = statistics, 32
    for _ in range(5):
        step(quantized, data)
    finish(quantized)
    integers_equal(quantized, data)
    changed = [
        not torch.equal(conv.indices(), before.layer(name).indices())
        for name, conv in learnable(quantized)
    ]
    assert all(changed)


@torch.no_grad()
def test_batch_statistics_move_means_and_no_scale():
    quantized, data = small()
    conv = quantized.layer(quantized.plan.layers[1].name)
    x = quantized.inputs[0](data)
    weight = pow2.values(conv.indices(), conv.weight_exponent, 3).float()
    sums = conv.convolve(x * 2.0 ** -int(conv.input_exponent), weight)
    wanted = F.relu(sums - (sums.mean((0, 2, 3)) - conv.beta)[:, None, None])
    mean, var = conv.mean.clone(), conv.var.clone()
    conv.statistics = "batch"
    got = conv.train()(x)
    wanted = (wanted * 2.0 ** int(conv.exponent)).clamp(max=255)
    assert float((got - wanted).abs().max()) <= 0.51
    batch_mean = sums.mean((0, 2, 3)).double() / conv.factor()
    assert torch.allclose(conv.mean.double(), 0.9 * mean + 0.1 * batch_mean, atol=1e-5)
    assert torch.equal(conv.var, var)


@torch.no_grad()
def test_units_of_weights_change_nothing():
    quantized, data = small()
    wanted, weights = quantized(data), quantized.layer(quantized.plan.layers[1].name).folded()[0]
    kept = copy.deepcopy(quantized.state_dict())
    prepare(quantized)
    for _, conv in learnable(quantized):
        greatest = pow2.exp2(conv.weight_exponent) / (1 if conv.factor() is None else conv.factor())
        assert bool(((conv.unit / greatest).log2().abs() <= 0.51).all())
    conv = quantized.layer(quantized.plan.layers[1].name)
    assert not torch.equal(conv.unit, torch.ones_like(conv.unit))
    assert torch.equal(conv.folded()[0], weights)
    assert torch.equal(quantized(data), wanted)
    assert torch.equal(finished(quantized)(data), wanted)
    for _, conv in learnable(quantized):
        conv.set_unit(torch.ones_like(conv.unit))
        assert "unit" not in conv.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in quantized.state_dict().items())


def test_a_refused_estimator_leaves_the_model_as_it_was():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))
    quantized = quantize(model.eval(), torch.randn(8, 2, 4, 4), weight_bits=3, terms=2)
    kept = copy.deepcopy(quantized.state_dict())
    with pytest.raises(ValueError, match=r"^s3 needs weights of one term, not 2"):
        prepare(quantized, "s3")
    assert all(torch.equal(kept[name], value) for name, value in quantized.state_dict().items())


@pytest.mark.parametrize("method", ["straight_through", "s3", "deepshift_ps"])
@torch.no_grad()
def test_channels_that_batchnorm_multiplies_by_0_stay_silent_when_means_freeze(method):
    quantized, data = small()
    conv = quantized.layer(quantized.plan.layers[1].name)
    conv.gamma[2] = 0.0
    wanted = quantized(data)
    prepare(quantized, method)
    assert torch.equal(quantized(data), wanted)
    x = quantized.inputs[0](data)
    frozen = conv(x)
    conv.statistics = "batch"
    assert torch.equal(conv(x)[:, 2], frozen[:, 2])


class Pooled(nn.Module):
    """For each of its inputs, pooling over all of space and a convolution."""

    def __init__(self, inputs, channels):
        super().__init__()
        one = (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 2, 1)) for _ in inputs)
        self.branches = nn.ModuleList(one)

    def forward(self, *images):
        return tuple(branch(x) for branch, x in zip(self.branches, images, strict=True))


@pytest.mark.parametrize("bits", [3, 8])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pooling_over_all_of_space_is_that_convolution(channels, bits):
    images = {}  # of all sizes at once, because a capture takes longer than all that is compared
    for size in product(range(1, 6), repeat=2):
        generator = torch.Generator().manual_seed(0)
        images[size] = torch.randint(-9, 9, (3, channels, *size), generator=generator).double()
    data = tuple(x.float() + 0.5 for x in images.values())
    quantized = quantize(Pooled(images, channels), data, weight_bits=3, activation_bits=bits)
    for (height, width), x in images.items():
        pools = [
            quantized.layer(layer.name)
            for layer in quantized.plan.layers
            if getattr(layer, "weight_shape", None) == (channels, 1, height, width)
        ]
        assert pools or channels == height == width == 1
        for conv, bias in product(pools, (True, False)):
            weight = torch.randn(conv.plan.weight_shape, generator=generator).double()
            shift = torch.randn(channels, generator=generator).double() if bias else None
            got, wanted = (
                conv.convolve(x, weight, shift),
                F.conv2d(x, weight, shift, groups=channels),
            )
            torch.testing.assert_close(got, wanted)


@torch.no_grad()
def test_ghost_batches_are_centered_each_by_itself():
    quantized, data = small()
    conv = quantized.layer(quantized.plan.layers[1].name).train()
    conv.statistics, conv.ghost_batch = "batch", 16
    x = quantized.inputs[0](data)
    together = conv(x)[16:32]
    conv.ghost_batch = None
    alone, all_of_them = conv(x[16:32]), conv(x)[16:32]
    differ = float((together != alone).float().mean())  # float sums may end on either side of 1/2
    assert differ < 0.001 < 0.1 < float((together != all_of_them).float().mean())


def test_the_gradient_reaches_weights_normalisation_and_exponents():
    quantized, data = small()
    prepare(quantized, "lsq", learn_exponents=True)
    F.cross_entropy(quantized(data), torch.arange(64) % 4).backward()
    for name, parameter in quantized.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        assert bool(parameter.grad.any()), name


def test_a_learned_exponent_is_whole_and_moves_by_its_gradient():
    learned = LearnedExponent(3, 255, 100)
    steps = learned.steps()
    assert steps.item() == 8.0
    steps.backward()
    gain = (100 * 255) ** -0.5
    assert float(learned.value.grad) == pytest.approx(8 * np.log(2) * gain)
    with torch.no_grad():
        learned.value.fill_(3.6)
    assert learned.steps().item() == 16.0
    assert int(learned) == 4


def test_codes_that_are_set_are_read_back():
    quantized, _ = small()
    generator = torch.Generator().manual_seed(1)
    for name, conv in learnable(quantized):
        with torch.no_grad():
            if conv.plan.eps is not None:
                conv.gamma[0], conv.gamma[1] = 0.0, -0.3
        bias = conv.folded()[1]
        indices = torch.randint(-3, 4, (1, *conv.plan.weight_shape), generator=generator)
        exponent = torch.randint(-4, 3, (len(indices[0]),), generator=generator)
        conv.set_codes(indices.to(torch.int8), exponent)
        assert torch.equal(conv.indices(), indices.to(torch.int8)), name
        assert torch.equal(conv.weight_exponent, exponent)
        assert torch.equal(conv.folded()[1], bias), name


def test_a_bias_that_is_added_is_in_the_folded_bias():
    quantized, _ = small()
    for name, conv in learnable(quantized):
        before = conv.folded()[1]
        conv.add_bias(torch.full_like(before, 0.25))
        assert torch.allclose(conv.folded()[1], before + 0.25), name


def test_a_folded_copy_computes_the_same_and_uses_weights_as_given():
    quantized, data = small()
    folded = folded_copy(quantized)
    for name, conv in learnable(quantized):
        with torch.no_grad():
            values = pow2.values(conv.indices(), conv.weight_exponent, conv.plan.weight_bits)
            folded.layer(name).weight.copy_(values)
    with torch.no_grad():
        assert torch.equal(folded(data), quantized(data))
        folded.layer(quantized.plan.layers[1].name).weight[0] += 0.01
        assert not torch.equal(folded(data), quantized(data))


@pytest.mark.parametrize("turned", [False, True], ids=["ahead", "in reverse"])
def test_columns_are_what_the_sums_read(turned):
    quantized, data = small()
    conv = quantized.layer(quantized.plan.layers[2].name)
    if turned:
        stride = (conv.plan.window.stride[0], -conv.plan.window.stride[1])
        conv.plan = replace(conv.plan, window=replace(conv.plan.window, stride=stride))
    x = quantized.layer(quantized.plan.layers[1].name)(quantized.inputs[0](data))
    columns = conv.columns(x)
    assert columns.shape == (64 * 16, 1, 54)
    weight = conv.folded()[0].float()
    sums = torch.einsum("ngk,gok->ngo", columns, weight.reshape(1, 5, 54)).flatten(1)
    wanted = conv.convolve(x * 2.0 ** -int(conv.input_exponent), weight)
    assert torch.allclose(
        sums.reshape(64, 16, 5).movedim(2, 1).flatten(2), wanted.flatten(2), atol=1e-4
    )


def test_finishing_a_copy_leaves_the_model_in_training():
    quantized, data = small()
    prepare(quantized, "lsq", learn_exponents=True)
    copied = finished(quantized)
    assert quantized.training
    assert not copied.training
    assert all(conv.estimator is not None for _, conv in learnable(quantized))
    assert copied.state_dict().keys() == small()[0].state_dict().keys()
    assert copied(data).shape == (64, 4)


def test_weights_that_are_not_finite_are_refused():
    quantized, _ = small()
    prepare(quantized)
    with torch.no_grad():
        quantized.layer("3").weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(ModelError) as error:
        finish(quantized)
    assert str(error.value) == (
        "layer '3' needs finite weights, but training left NaN or infinity; train again with a "
        "lower rate"
    )


def test_weights_of_an_estimator_that_are_not_finite_are_refused():
    quantized, _ = small()
    prepare(quantized, "s3")
    with torch.no_grad():
        quantized.layer("3").estimator.sign[0, 0, 0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"^layer '3' needs finite weights, but training left NaN"):
        finish(quantized)


def test_sums_that_outgrew_the_accumulator_are_refused():
    quantized, _ = small()
    prepare(quantized)
    with torch.no_grad():
        quantized.layer("3").beta[2] = 1e12
    with pytest.raises(ModelError) as error:
        finish(quantized)
    assert str(error.value) == (
        "layer '3': channel 2 outgrew the accumulator in training; train with a lower rate or "
        "with more weight decay"
    )


def test_the_exponent_of_results_below_0_is_learnt():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Conv2d(4, 3, 1)).eval()
    with torch.no_grad():
        model[0].bias.fill_(-9.0)
    x = torch.randn(16, 2, 6, 6)
    made = quantize(model, x, terms=2)
    assert made.type("0").zero_point > 0
    # As far from the middle as 0 can lie: no integer is above it.
    made.layer("0").plan = replace(made.layer("0").plan, zero_point=127)
    prepare(made, "lsq", learn_exponents=True)
    made(x).square().mean().backward()
    assert [each.value.grad is not None for each in made.learned_exponents.values()] == [True]
