"""Layers rounded in order: nearer to the float network, and whatever was chosen fits."""

import warnings

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import nn

from qnn.errors import ModelError, QnnWarning
from qnn.frontend.capture import capture
from qnn.nn.layers import QuantConv
from qnn.nn.learn import learnable
from qnn.nn.scales import sums_limit, sums_reach
from qnn.ptq.auto.options import Auto
from qnn.ptq.quantize import quantize
from qnn.ptq.round_layers import FittedLayer, round_layers
from tests.models import as_tuple, models
from tests.ptq.test_inputs import equal_to_its_integers
from tests.ptq.trained import calibrated_on, classifier, images_of

SILENT = Auto(report=lambda line: None)


def rounded(start, images, terms=1, **options):
    """A network of a calibrated one, its layers rounded in order."""
    quantized = start.build(terms, "auto")
    round_layers(quantized, start.graph, (images,), **options)
    return quantized


@torch.no_grad()
def distance(model, quantized, images) -> float:
    wanted = model(images)
    return float((quantized(images) - wanted).square().mean() / wanted.var())


def fits(quantized) -> bool:
    convs = [conv for _, conv in learnable(quantized)]
    return all(bool((sums_reach(c, c.indices()) < sums_limit(c)).all()) for c in convs)


@pytest.mark.parametrize(("bits", "terms"), [(2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (5, 1)])
def test_answers_come_nearer_to_the_float_ones_than_nearest(bits, terms):
    model, images = classifier()
    start = calibrated_on(model, images, bits)
    unseen = images_of(300, 2000)[0]
    found, nearest = rounded(start, images, terms), start.build(terms, "nearest")
    assert distance(model, found, unseen) < 0.6 * distance(model, nearest, unseen)
    assert fits(found)
    equal_to_its_integers(found, (unseen[:4],))


def test_large_images_are_computed_in_parts_and_no_code_is_another(monkeypatch):
    model, images = classifier()
    start = calibrated_on(model, images)
    whole = rounded(start, images)
    monkeypatch.setattr("qnn.ptq.chunks.CHUNK_PIXELS", 40 * images[0, 0].numel())
    sizes, exact = [], QuantConv._exact

    def counted(conv, x, *rest):
        sizes.append(len(x))
        return exact(conv, x, *rest)

    monkeypatch.setattr(QuantConv, "_exact", counted)
    found = rounded(start, images)
    assert len(images) > max(sizes) == 40
    for (_, wanted), (_, conv) in zip(learnable(whole), learnable(found), strict=True):
        assert torch.equal(conv.indices(), wanted.indices())
        assert torch.equal(conv.weight_exponent, wanted.weight_exponent)
        assert torch.equal(conv.folded_bias(), wanted.folded_bias())


def test_terms_may_differ_by_channel():
    model, images = classifier()
    start = calibrated_on(model, images)
    terms = {"inner": [1, 2, 3, 1, 1, 2, 1, 4], "*": 1}
    found = rounded(start, images, terms)
    assert found.layer("inner").plan.channel_terms == tuple(terms["inner"])
    used = found.layer("inner").indices().ne(0).flatten(2).any(2)  # by term and channel
    for channel, count in enumerate(terms["inner"]):
        assert not used[count:, channel].any()
    nearest = start.build(terms, "nearest")
    assert distance(model, found, images) < 0.6 * distance(model, nearest, images)
    equal_to_its_integers(found, (images[:4],))


def test_biases_take_the_means_back():
    """On the images themselves, what a layer gives is as large as the float layer's on average."""
    model, images = classifier()
    start = calibrated_on(model, images)
    found, nearest = rounded(start, images), start.build(1, "nearest")
    with torch.no_grad():
        off, off_nearest = ((q(images) - model(images)).mean(0).abs() for q in (found, nearest))
    # Up to the rounding of what the last layer reads.
    assert float(off.max()) < 0.01
    assert float(off_nearest.max()) > 0.1


def test_layers_that_are_done_are_taken_as_they_are():
    model, images = classifier()
    start, kept = calibrated_on(model, images), {}
    whole = rounded(start, images, keep=kept.__setitem__)
    assert list(kept) == [name for name, _ in learnable(whole)]
    for count in range(len(kept) + 1):
        again, told = dict(list(kept.items())[:count]), {}
        found = rounded(start, images, done=again, keep=told.__setitem__)
        assert list(told) == list(kept)
        for name, value in whole.state_dict().items():
            assert torch.equal(found.state_dict()[name], value), name


def test_layers_take_back_what_was_lost_before_them():
    """Of a first layer of one channel less, the next ones make what they can."""
    model, images = classifier()
    start, kept = calibrated_on(model, images), {}
    rounded(start, images, keep=kept.__setitem__)
    first = kept["first.0"]
    codes = first.indices.clone()
    codes[:, 0] = 0
    spoilt = FittedLayer(codes, first.exponent, first.bias)
    blind = rounded(start, images, done={**kept, "first.0": spoilt})
    assert not blind.layer("first.0").indices()[:, 0].any()
    found = rounded(start, images, done={"first.0": spoilt})
    assert distance(model, found, images) < 0.8 * distance(model, blind, images)


@pytest.mark.parametrize("name", ["first.0", "inner", "head"])
def test_channels_that_do_not_fit_the_accumulator_stay_nearest(name):
    model, images = classifier()
    start, kept = calibrated_on(model, images), {}
    rounded(start, images, keep=kept.__setitem__)
    chosen, nearest = kept[name], start.build(1, "nearest").layer(name)
    bias = chosen.bias.clone()
    bias[3] = 1e9
    exponent = chosen.exponent + (torch.arange(len(bias)) == 3)
    found = rounded(start, images, done={name: FittedLayer(chosen.indices, exponent, bias)})
    assert fits(found)
    conv = found.layer(name)
    others = torch.arange(len(bias)) != 3
    assert torch.equal(conv.indices()[:, 3], nearest.indices()[:, 3])
    assert conv.weight_exponent[3] == nearest.weight_exponent[3]
    torch.testing.assert_close(conv.folded_bias()[3], nearest.folded_bias()[3])
    assert torch.equal(conv.indices()[:, others], chosen.indices[:, others])
    torch.testing.assert_close(conv.folded_bias()[others], chosen.bias[others])
    equal_to_its_integers(found, (images[:2],))


@settings(max_examples=12)
@given(models(most_layers=4), st.integers(2, 5))
def test_every_network_fits_and_equals_its_integers(case, bits):
    try:
        graph = capture(case.model, case.calibration)
    except ModelError:
        reject()  # a network that no frontend reads
    options = {"weight_bits": bits, "activation_bits": 8, "terms": case.options["terms"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QnnWarning)  # of layers that are zero for so few data
        quantized = quantize(graph, case.calibration, **options, auto=SILENT)
    assert fits(quantized)
    equal_to_its_integers(quantized, as_tuple(case.calibration))


@pytest.mark.parametrize("bias", [False, True])
def test_silent_channels_stay_silent_and_others_are_finite(bias):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3, bias=bias), nn.ReLU(), nn.Conv2d(6, 4, 3, bias=bias))
    with torch.no_grad():
        model[0].weight[1] = 0
        model[2].weight[2] = 0
        model[2].weight[:, 4] = 0
    images = torch.randn(40, 3, 8, 8)
    quantized = quantize(model, images, terms=1, auto=SILENT)
    for _, conv in learnable(quantized):
        assert all(bool(part.isfinite().all()) for part in conv.folded())
    equal_to_its_integers(quantized, (images[:4],))
