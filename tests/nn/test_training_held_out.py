"""Images that judge a run: what they are, and what becomes of a run that ended worse."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from qnn.errors import QnnWarning
from qnn.nn.data import Dataset
from qnn.nn.training import Recipe, train
from qnn.nn.training.held_out import LEAST, Judged, split
from tests.nearest import quantize

COUNT = 400  # of which 40 are held out


@given(st.integers(1, 3000), st.integers(0, 600))
def test_held_out_images_are_few_and_not_trained_on(count, most):
    trained, judging = split(count, most)
    assert sorted([*trained.tolist(), *judging.tolist()]) == list(range(count))
    wanted = min(most, count // 10)
    assert len(judging) == (wanted if wanted >= LEAST else 0)
    assert torch.equal(judging, judging.sort().values)


@given(st.integers(600, 3000), st.integers(2, 12), st.booleans())
def test_held_out_images_are_of_all_classes(count, classes, sorted_by_class):
    """Whether every tenth image is of one class, or one class comes after the other."""
    labels = torch.arange(count) % classes
    labels = labels.sort().values if sorted_by_class else labels
    judging = split(count, 512)[1]
    found = labels[judging].bincount(minlength=classes) / len(judging)
    # Five times the standard error of a share.
    assert float((found - 1 / classes).abs().max()) <= 5 * (classes * len(judging)) ** -0.5


def samples(count=COUNT, seed=0):
    """Two blobs and their classes; an image's first value is its number."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (count,), generator=generator)
    x = torch.randn(count, 6, generator=generator) + 1.5 * y[:, None]
    return x, y


@pytest.fixture(scope="module")
def teacher():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    train(model, samples(), Recipe(epochs=10, batch=32, rate=1e-2))
    return model


def rounded(teacher):
    return quantize(teacher, samples()[0], weight_bits=4)


def states(one, other):
    one, other = one.state_dict(), other.state_dict()
    return [torch.equal(tensor, other[name]) for name, tensor in one.items()]


def test_a_run_that_ends_worse_leaves_the_model_as_it_was_and_says_so(teacher):
    quantized = rounded(teacher)
    before, test = copy.deepcopy(quantized), samples(60, seed=1)
    data = Dataset(*samples(), *test)
    recipe = Recipe(steps=4, batch=32, rate=0.3, schedule="constant", diverged=1e6)
    with pytest.warns(QnnWarning) as warned:
        report = train(quantized, data, recipe, teacher=teacher)
    assert not report.held_out.kept
    assert all(states(quantized, before))
    (text,) = (str(each.message) for each in warned)
    assert text == (
        f"train ended worse than it began: the loss on 40 images held out went from "
        f"{report.held_out.before:.4g} to {report.held_out.after:.4g}; the model is kept as it "
        f"was; take more steps, lower rate (0.3), or let biases learn alone (grid_rate=0)"
    )
    # The numbers are those of the model that is kept.
    right = (quantized(test[0]).argmax(1) == test[1]).float().mean()
    assert report.test_accuracy == pytest.approx(100 * float(right))

    asked = copy.deepcopy(before)
    report = train(asked, data, Recipe(**{**recipe.to_fields(), "held_out": 0}), teacher=teacher)
    assert report.held_out is None
    assert not all(states(asked, before))


def test_losses_are_the_recipes_own_on_the_images_held_out(teacher):
    quantized, (x, y) = rounded(teacher), samples()
    places = split(COUNT, 512)[1]

    @torch.no_grad()
    def distance(model):
        logits = [each(x[places]).log_softmax(1) for each in (model, teacher)]
        return float(F.kl_div(*logits, reduction="batchmean", log_target=True))

    before = distance(quantized)
    recipe = Recipe(steps=40, batch=64, rate=1e-3)
    report = train(quantized, (x, y), recipe, teacher=teacher)
    assert report.held_out.kept
    assert report.held_out.before == pytest.approx(before, rel=1e-4)
    assert report.held_out.after == pytest.approx(distance(quantized), rel=1e-4)
    assert report.held_out.after < before


# Whatever becomes of so few steps.
@pytest.mark.filterwarnings("ignore:train ended worse")
def test_no_image_held_out_is_ever_trained_on(teacher):
    seen, (x, y) = set(), samples()

    def note(images, _generator):
        seen.update(images[:, 0].tolist())
        return images

    train(rounded(teacher), (x, y), Recipe(epochs=1, batch=8), teacher=teacher, augment=note)
    trained, judging = split(COUNT, 512)
    assert seen == set(x[trained, 0].tolist())
    assert not seen & set(x[judging, 0].tolist())


def test_few_images_and_a_loss_of_the_users_are_not_judged(teacher):
    for count, more in ((10 * LEAST - 1, {}), (COUNT, {"loss": F.cross_entropy})):
        report = train(rounded(teacher), samples(count), Recipe(steps=2, batch=32), **more)
        assert report.held_out is None


def test_a_warning_tells_images_learnt_by_heart_from_steps_that_were_too_large():
    verdict = Judged(50, 0.061, 0.094)
    start = (
        "train ended worse than it began: the loss on 50 images held out went from 0.061 to 0.094; "
        "the model is kept as it was; "
    )
    by_heart = "it learnt its own images: give more of them, augment them, lower rate (0.0003)"
    assert verdict.warning(3e-4, 0.01, False) == start + by_heart
    for last in (0.07, None):
        text = "take more steps, lower rate (0.0003), or let biases learn alone (grid_rate=0)"
        assert verdict.warning(3e-4, last, True) == start + text


def test_what_is_equal_is_kept():
    assert Judged(40, 0.5, 0.5).kept
    assert not Judged(40, 0.5, 0.5001).kept
