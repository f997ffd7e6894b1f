"""The means that BatchNorm takes on a grid: another split of each bias, and no other result."""

import copy

import pytest
import torch
from torch import nn

from qnn.nn import learn
from qnn.nn.recenter import recenter
from qnn.nn.training import Recipe, loop, means, train
from tests.nearest import quantize


def network():
    """A trained-looking network whose biases carry more than BatchNorm's means."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(2, 6, 3, 1, 1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 8, 3, 2, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(72, 5),
        )
        for layer in model:
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.bias)
        model(images(256))  # moves the running means
    return model.eval()


def images(count=128, seed=0):
    return torch.randn(count, 2, 6, 6, generator=torch.Generator().manual_seed(seed)) + 0.5


def prepared(shift=0.0):
    """A network on its grid, in training, whose normalised layers' biases were moved by shift."""
    quantized = quantize(network(), images(), weight_bits=3, bias_correction=False)
    for _, conv in learn.learnable(quantized):
        if conv.plan.eps is not None:
            conv.add_bias(torch.full_like(conv.beta, shift))
    learn.prepare(quantized)
    return quantized


def normalised(quantized):
    return [conv for _, conv in learn.learnable(quantized) if conv.plan.eps is not None]


def test_results_stay_and_a_batchs_own_means_then_give_the_same():
    quantized, x = prepared(shift=0.3), images()
    for conv in normalised(quantized):
        conv.statistics = "frozen"
    with torch.no_grad():
        wanted = quantized(x)
        before = copy.deepcopy(quantized)
        recenter(quantized, lambda: quantized(x), lambda _sums: None)
        torch.testing.assert_close(quantized(x), wanted, rtol=1e-4, atol=1e-4)
        gaps = []
        for each in (before, quantized):
            for conv in normalised(each):
                conv.statistics = "batch"
            gaps.append(float((each(x) - wanted).abs().mean()))
    # The bias of frozen statistics is rounded to the sum's last place.
    assert gaps[1] < 0.01
    assert gaps[0] > 50 * gaps[1]


def test_the_statistics_are_left_as_they_were_also_where_images_are_refused():
    quantized = prepared()
    for conv in normalised(quantized):
        conv.statistics = "batch"

    def refused():
        assert all(conv.statistics == "frozen" for conv in normalised(quantized))
        raise KeyError

    with pytest.raises(KeyError):
        recenter(quantized, refused, lambda _sums: None)
    assert all(conv.statistics == "batch" for conv in normalised(quantized))
    assert not any(conv._forward_pre_hooks for conv in normalised(quantized))


def test_sums_of_several_processes_are_added():
    quantized, x = prepared(shift=0.3), images()
    whole = copy.deepcopy(quantized)
    recenter(whole, lambda: whole(x), lambda _sums: None)

    half, other = x[:64], []
    recenter(copy.deepcopy(quantized), lambda: quantized(x[64:]), other.extend)
    # The second process's sums, taken with a network of its own.
    second = copy.deepcopy(quantized)
    recenter(second, lambda: second(x[64:]), other.extend)
    theirs = [total.clone() for total in other[-2:]]

    def add_up(sums):
        for total, more in zip(sums, theirs, strict=True):
            total += more

    first = copy.deepcopy(quantized)
    recenter(first, lambda: first(half), add_up)
    for one, both in zip(normalised(first), normalised(whole), strict=True):
        torch.testing.assert_close(one.mean, both.mean, rtol=1e-5, atol=1e-6)


def first_loss(quantized, teacher, **changes):
    """The loss of the first step, which no update has changed."""
    recipe = Recipe(steps=1, batch=128, **changes)
    return train(
        copy.deepcopy(quantized), images(), recipe, teacher=teacher, task="regression"
    ).loss


def test_training_starts_from_what_rounding_gave_where_biases_were_corrected():
    teacher = network()
    corrected = quantize(teacher, images(512), weight_bits=2, rounding="auto", terms=1)
    frozen = first_loss(corrected, teacher, freeze_statistics_at=0)
    assert first_loss(corrected, teacher) < 1.1 * frozen


def test_means_that_were_moved_and_not_corrected_are_repaired_by_those_of_a_batch():
    teacher = network()
    nearest = quantize(teacher, images(512), weight_bits=4, bias_correction=False)
    for conv in normalised(nearest):
        conv.mean.add_(0.7)  # as if rounding had moved all sums
    frozen = first_loss(nearest, teacher, freeze_statistics_at=0)
    assert first_loss(nearest, teacher) < 0.3 * frozen


def test_means_of_a_dense_layers_batches_which_are_noise_stay_fixed():
    """Of 16 samples each mean is a quarter of a deviation off, which no other sample shares."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Linear(12, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4)]
        teacher, x = nn.Sequential(*layers), torch.randn(256, 12)
        teacher(x)
    quantized = quantize(teacher.eval(), x, weight_bits=4, terms=2, bias_correction=False)

    def loss(**changes):
        plan = Recipe(steps=1, batch=16, held_out=0, **changes)
        learnt = copy.deepcopy(quantized)
        return train(learnt, x, plan, teacher=teacher, task="regression").loss

    fixed, moving = loss(freeze_statistics_at=0), loss(freeze_statistics_at=0.9)
    assert moving > 2 * fixed
    assert loss() == fixed


@pytest.mark.parametrize(
    ("found", "freezes_at"),
    [
        ([1.0, 1.0, 0.95], 1.0),
        ([1.0, 1.0, 0.85], 0.0),
        ([-1.0, -1.0, -0.95], 1.0),
        ([-1.0, -1.0, -1.05], 1.0),
        ([-1.0, -1.0, -1.15], 0.0),
        ([torch.nan, 1.0, 0.85], 0.0),
        ([1.0, 1.0, torch.nan], 1.0),
    ],
)
def test_means_stay_fixed_where_that_is_clearly_better(found, freezes_at, monkeypatch):
    losses, chosen = iter(found), []

    def choose(run):
        means.choose_means(run)
        chosen.append(run.task.student.freezes_at)

    monkeypatch.setattr(means, "_first_loss", lambda _run: next(losses))
    monkeypatch.setattr(loop, "choose_means", choose)
    nearest = quantize(network(), images(), weight_bits=3, bias_correction=False)
    train(nearest, images(), Recipe(steps=1, held_out=0), teacher=network())
    assert chosen == [freezes_at]


def test_means_follow_the_weights_to_the_end():
    """From nearest weights, which need that means move at all."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 3)
        teacher, x = nn.Sequential(*layers), torch.randn(256, 2, 6, 6)
        teacher(x)
    quantized = quantize(teacher.eval(), x, weight_bits=2, terms=1, bias_correction=False)

    def trained(**changes):
        plan = Recipe(steps=20, batch=16, held_out=0, rate=3e-3, **changes)
        learnt = copy.deepcopy(quantized)
        train(learnt, x, plan, teacher=teacher)
        return torch.cat([each.flatten().double() for each in learnt.state_dict().values()])

    usual = trained()
    assert torch.equal(usual, trained(freeze_statistics_at=1.0))
    assert not torch.equal(usual, trained(freeze_statistics_at=0.9))
    assert not torch.equal(usual, trained(freeze_statistics_at=0.0))
