import itertools
import math
from functools import partial

import pytest
import torch
from torch import nn

from qnn.ptq import correct_bias
from qnn.tasks.kinds import TaskKind
from tests.nearest import quantize


def built(*layers):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = nn.Sequential(*(layer() for layer in layers)).eval()
        return model, torch.randn(64, 3, 6, 6) + 1  # a mean that rounded weights shift


@pytest.mark.parametrize(
    "layers",
    [
        (lambda: nn.Conv2d(3, 8, 3, padding=1),),
        (lambda: nn.Conv2d(3, 8, 3, bias=False), lambda: nn.BatchNorm2d(8)),
        (lambda: nn.Conv2d(3, 8, 3, 2), nn.ReLU, lambda: nn.Conv2d(8, 4, 2)),
    ],
    ids=["bias", "batchnorm", "chain"],
)
def test_every_channel_keeps_its_mean(layers):
    model, images = built(*layers)
    quantized = quantize(model, images, bias_correction=True)
    with torch.no_grad():
        error = (quantized(images) - model(images)).double().mean((0, 2, 3)).abs()
        spread = (quantized(images) - model(images)).double().std((0, 2, 3))
    steps = 2.0 ** -int(quantized.layer(quantized.plan.layers[-1].name).exponent)
    assert bool((error <= steps).all()), (error, steps)
    assert bool((spread > 4 * steps).any()), "rounding must matter for this test to say anything"


def test_as_many_images_count_as_means_need(monkeypatch):
    model, images = built(lambda: nn.Conv2d(3, 8, 3))
    assert counted(model, torch.cat([images] * 9), monkeypatch) == 512
    assert counted(model, images, monkeypatch) == 64


def counted(model, images, monkeypatch):
    """How many images the correction evaluates the float network on."""
    seen = []
    with monkeypatch.context() as patch:
        patch.setattr(
            correct_bias, "beside_float", lambda _network, _graph, x: seen.append(len(x[0])) or ()
        )
        quantize(model, images, bias_correction=True)
    return seen[0]


def test_weights_of_the_architecture_stay():
    model, images = built(lambda: nn.AvgPool2d(2), lambda: nn.Conv2d(3, 2, 1))
    quantized = quantize(model, images, bias_correction=True)
    average = quantized.layer(quantized.plan.layers[1].name)
    assert average.plan.fixed
    assert average.bias is None
    assert average.epilogue().bias.tolist() == [0, 0, 0]


def states(model, images):
    """What is quantized by default, and with biases corrected or not."""
    return [
        quantize(model, images, bias_correction=choice).state_dict()
        for choice in (None, True, False)
    ]


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_by_default_biases_are_corrected_where_that_helps_images_that_were_not_used():
    model, images = built(lambda: nn.Conv2d(3, 8, 3))
    chosen, plain = (quantize(model, images[:48], bias_correction=how) for how in (None, False))
    others = images[48:]
    with torch.no_grad():
        errors = [(each(others) - model(others)).square().mean() for each in (chosen, plain)]
    assert errors[0] < errors[1]


def test_images_sorted_by_class_correct_as_shuffled_ones_do():
    model, images = built(lambda: nn.Conv2d(3, 8, 3))
    bright = images / 4 + 3
    in_order = torch.cat([bright, bright / 64])
    order = torch.randperm(128, generator=torch.Generator().manual_seed(1))
    plain = quantize(model, in_order, bias_correction=False).state_dict()
    for data in (in_order, in_order.flip(0), in_order[order]):
        assert not equal(quantize(model, data).state_dict(), plain)


def test_one_image_corrects_nothing_by_default():
    model, images = built(lambda: nn.Conv2d(3, 8, 3))
    chosen, _, plain = states(model, images[:1])
    assert equal(chosen, plain)


def test_large_images_need_fewer_of_them(monkeypatch):
    model, _ = built(lambda: nn.AvgPool2d(64), lambda: nn.Conv2d(3, 2, 1))
    count = counted(
        model, torch.arange(40.0)[:, None, None, None].expand(40, 3, 512, 512), monkeypatch
    )
    assert count == 32, "means of 32 such images are means of millions of pixels"


@pytest.mark.parametrize(
    ("nearer", "mended", "broken", "helps"),
    [(True, 0, 4, True), (True, 0, 5, False), (True, 9, 9, True), (False, 9, 0, False)],
)
def test_corrections_bring_outputs_nearer_and_change_no_more_answers_than_chance(
    monkeypatch, nearer, mended, broken, helps
):
    model, images = built(lambda: nn.Conv2d(3, 8, 3))
    judged = iter(errors(nearer, mended, broken))
    monkeypatch.setattr(correct_bias, "_output_errors", lambda *_: next(judged))
    chosen, plain = (quantize(model, images, bias_correction=how) for how in (None, False))
    assert equal(chosen.state_dict(), plain.state_dict()) != helps


def errors(nearer, mended, broken):
    """Errors of 32 images before and after a correction that mends and breaks some answers."""
    before = torch.cat([torch.ones(mended), torch.zeros(32 - mended)])
    after = torch.cat([torch.zeros(mended), torch.ones(broken), torch.zeros(32 - mended - broken)])
    return (2.0, before), (1.0 if nearer else 2.0, after)


def test_chance_is_two_standard_errors_of_the_changed_answers():
    for nearer, mended, broken in itertools.product((True, False), range(16), range(16)):
        before, after = errors(nearer, mended, broken)
        chance = broken - mended <= 2 * math.sqrt(broken + mended)
        assert correct_bias._helped(before, after) == (nearer and chance)


def test_values_are_judged_by_the_spread_of_all_images_however_few_are_computed_at_once(
    monkeypatch,
):
    model, images = built(lambda: nn.Conv2d(3, 8, 3), nn.Flatten, lambda: nn.Linear(128, 2))
    seen, helped = [], correct_bias._helped
    monkeypatch.setattr(correct_bias, "_helped", lambda *pair: seen.append(pair) or helped(*pair))
    for at_a_time in (128, 5, 1):
        monkeypatch.setattr("qnn.ptq.chunks.CHUNK", at_a_time)
        quantize(model, images, task="regression")
    # Sums of float32 are in another order.
    whole, *parts = [[error for error, _ in pair] for pair in seen]
    assert parts == [pytest.approx(whole, rel=1e-5)] * 2


def test_answers_count_by_image():
    real = torch.tensor([[3.0, 1.0], [1.0, 3.0], [2.0, 0.0]])
    got = torch.tensor([[1.0, 3.0], [0.0, 9.0], [2.0, 1.0]])
    changed = partial(correct_bias._changed_answers, real, got)
    assert changed(TaskKind.CLASSES).tolist() == [1, 0, 0]
    assert changed(TaskKind.MULTILABEL).tolist() == [0, 1, 1]
    assert changed(TaskKind.REGRESSION).tolist() == [0, 0, 0]
