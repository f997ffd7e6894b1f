import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from qnn.nn.training.average import Average
from qnn.nn.training.losses import loss
from qnn.nn.training.rates import optimizer_for, rate_at, set_rate
from qnn.nn.training.recipe import Recipe
from qnn.nn.training.samples import Batches, Samples
from qnn.nn.training.seeds import Draw, seed_of
from qnn.tasks.kinds import TaskKind
from qnn.tasks.losses import TaskLoss

CLASSES = TaskLoss(TaskKind.CLASSES)


def forward_kl(student, teacher, temperature=1.0):
    return CLASSES.of_answers(student, teacher, temperature)


def reverse_kl(student, teacher, temperature=1.0):
    return CLASSES.of_answers(teacher, student, temperature)


def logits(seed, count=5, classes=4):
    return torch.randn(count, classes, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergences_are_their_formulas(temperature):
    student, teacher = logits(0), logits(1)
    p, q = (F.softmax(x / temperature, 1) for x in (teacher, student))
    forward = (p * (p / q).log()).sum(1).mean() * temperature**2
    reverse = (q * (q / p).log()).sum(1).mean() * temperature**2
    torch.testing.assert_close(forward_kl(student, teacher, temperature), forward)
    torch.testing.assert_close(reverse_kl(student, teacher, temperature), reverse)


@pytest.mark.parametrize("divergence", [forward_kl, reverse_kl])
def test_a_divergence_has_its_true_gradient_and_is_0_at_the_teacher(divergence):
    teacher = logits(1)
    student = logits(0).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: divergence(x, teacher, 2.0), student)
    assert float(divergence(teacher, teacher)) == 0


def test_the_loss_is_the_recipes_sum():
    student, teacher = logits(0).float(), logits(1).float()
    y = torch.tensor([0, 1, 2, 3, 0])
    plan = Recipe(kl=0.5, reverse_kl=0.25, labels=2.0, temperature=3.0, label_smoothing=0.1)
    hard = F.cross_entropy(student, y, label_smoothing=0.1)
    soft = 0.5 * forward_kl(student, teacher, 3.0) + 0.25 * reverse_kl(student, teacher, 3.0)
    torch.testing.assert_close(loss(student, teacher, y, plan, CLASSES), soft + 2 * hard)
    torch.testing.assert_close(loss(student, None, y, plan, CLASSES), hard)


def test_the_rate_rises_and_falls():
    plan = Recipe(rate=8.0, warm_up=0.25)
    assert [rate_at(plan, step, 8) for step in range(3)] == [4.0, 8.0, 8.0]
    assert rate_at(plan, 5, 8) == pytest.approx(4.0)
    assert 0 < rate_at(plan, 7, 8) < 1
    halving = Recipe(rate=8.0, warm_up=0.0, schedule="halving", half_life=2)
    assert [rate_at(halving, step, 5) for step in range(5)] == [8, 8, 4, 4, 2]
    constant = Recipe(rate=8.0, warm_up=0.0, schedule="constant")
    assert {rate_at(constant, step, 5) for step in range(5)} == {8.0}


@given(st.sampled_from(("cosine", "halving", "constant")), st.floats(0, 1), st.integers(1, 50))
def test_every_rate_is_above_0_and_not_above_the_recipes(schedule, warm_up, steps):
    plan = Recipe(rate=0.5, schedule=schedule, warm_up=warm_up, half_life=3)
    assert all(0 < rate_at(plan, step, steps) <= 0.5 for step in range(steps))


def test_groups_have_rates_and_decays_of_their_own():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    named = [*model.named_parameters(), ("learned_exponents.0.value", nn.Parameter(torch.ones(())))]
    plan = Recipe(rate=0.1, weight_decay=0.3, norm_rate=2.0, exponent_rate=5.0)
    optimizer = optimizer_for(named, plan)
    set_rate(optimizer, 0.1)
    groups = [(len(g["params"]), g["lr"], g["weight_decay"]) for g in optimizer.param_groups]
    assert groups == [(1, 0.1, 0.3), (3, 0.2, 0.0), (1, 0.5, 0.0)]


def test_weights_in_units_of_their_grid_have_a_rate_of_their_own():
    named = [
        ("layers.a.weight", nn.Parameter(torch.ones(1, 1, 1, 1))),
        ("layers.a.estimator.sign", nn.Parameter(torch.ones(1, 1, 1, 1))),
        ("layers.a.beta", nn.Parameter(torch.ones(1))),
    ]
    optimizer = optimizer_for(named, Recipe(rate=1e-3, grid_rate=4.0), on_grid=True)
    set_rate(optimizer, 0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.4, 0.4, 0.1]


def test_an_average_follows_and_goes_on_from_what_it_was():
    live = {"w": torch.tensor([0.0, 4.0]), "d": torch.tensor([1.0]).double()}
    average = Average(live, 0.5)
    live["w"].add_(8.0)
    average.update(1)
    decay = min(0.5, 2 / 11)
    torch.testing.assert_close(average.values["w"], torch.tensor([0.0, 4.0]) + 8 * (1 - decay))
    again = Average(live, 0.5)
    again.restore(copy.deepcopy(average.values))
    average.update(2)
    again.update(2)
    assert all(torch.equal(average.values[name], again.values[name]) for name in live)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 30), st.integers(0, 3))
def test_batches_cover_each_epoch_and_depend_on_the_step_alone(count, size, step, seed):
    x = torch.arange(count)[:, None]
    plan = Recipe(batch=size, seed=seed)
    take = Batches(Samples(x, x[:, 0], None, None), plan, None, slice(None))
    images, labels = take(step)
    assert len(images) == min(size, count)
    assert torch.equal(images[:, 0], labels)
    epoch = step // plan.epoch_steps(count)
    first = epoch * plan.epoch_steps(count)
    seen = torch.cat([take(first + place)[1] for place in range(plan.epoch_steps(count))])
    assert len(seen.unique()) == len(seen) > count - min(size, count)


def test_processes_share_what_one_would_take():
    x = torch.arange(40, dtype=torch.uint8)[:, None, None, None]
    found, plan = Samples(x, None, None, None), Recipe(batch=8)

    def brighter(images, generator):
        return images + torch.randint(100, (len(images), 1, 1, 1), generator=generator)

    whole = Batches(found, plan, brighter, slice(0, 8))(3)[0]
    shares = [Batches(found, plan, brighter, slice(4 * k, 4 * k + 4))(3)[0] for k in (0, 1)]
    assert torch.equal(torch.cat(shares), whole)


def test_seeds_differ_by_what_is_drawn_and_where():
    seeds = {
        seed_of(seed, draw, *place)
        for seed in (0, 1)
        for draw in Draw
        for place in ((0,), (1,), (0, 1), (1, 1))
    }
    assert len(seeds) == 2 * len(Draw) * 4


@pytest.mark.parametrize(
    ("images", "steps"), [(90, 1000), (128 * 150, 1000), (128 * 250 + 7, 1250), (128 * 4000, 20000)]
)
def test_without_a_word_training_takes_five_epochs_and_a_thousand_steps_at_least(images, steps):
    assert Recipe().steps_for(images) == steps
    assert Recipe(epochs=2).steps_for(images) == 2 * max(1, images // 128)
    assert Recipe(epochs=2, steps=7).steps_for(images) == 7


def test_a_network_that_was_rounded_learns_at_a_lower_rate_unless_one_is_given():
    assert (Recipe().of(True).rate, Recipe().of(False).rate) == (3e-4, 1e-3)
    given = Recipe(rate=0.5, clip=1.0, held_out=0)
    assert given.of(True) == given
