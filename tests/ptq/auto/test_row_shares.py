"""What each row has in the loss of its layer."""

import pytest
import torch
from torch import nn

from qnn.ptq.auto.row_shares import _mixes, row_shares
from qnn.ptq.auto.trials import trials
from qnn.ptq.sensitivity import sensitivity
from qnn.tasks.kinds import TaskKind
from tests.ptq.trained import calibrated_on, classifier


def shared(model, images, kind, changed=None):
    start = calibrated_on(model, images)
    one = start.build(1, "auto")
    found = trials(one, start.graph, (images,)) if changed is None else changed(one)
    return one, found, row_shares(one, (images,), [kind], found)


@pytest.mark.parametrize("kind", [TaskKind.CLASSES, TaskKind.REGRESSION, TaskKind.MULTILABEL])
def test_shares_are_of_every_row_and_one_in_all(kind):
    model, images = classifier()
    one, found, shares = shared(model, images, kind)
    assert list(shares) == list(found)
    for name, by_terms in shares.items():
        assert list(by_terms) == list(found[name])
        for share in by_terms.values():
            assert share.shape == (len(one.layer(name).weight),)
            assert float(share.sum()) == pytest.approx(1)
            assert bool((share >= 0).all())


def test_rows_lose_as_much_as_where_they_alone_are_rounded():
    """Of a small change, which is where a divergence is a square."""
    model, images = classifier()

    def changed(one):
        weight = one.layer("inner").folded()[0].detach()
        generator = torch.Generator().manual_seed(0)
        by_row = torch.logspace(-2, -0.5, len(weight))[:, None, None, None]
        moved = weight + by_row * torch.randn(weight.shape, generator=generator) * weight.std()
        return {"inner": {1: {"inner": (moved.float(), None)}}}

    one, found, shares = shared(model, images, TaskKind.CLASSES, changed)
    weight = one.layer("inner").folded()[0].detach().float()
    alone = {}
    for row in range(len(weight)):
        only = weight.clone()
        only[row] = found["inner"][1]["inner"][0][row]
        alone[row] = {"inner": (only, None)}
    losses = sensitivity(one, images, [TaskKind.CLASSES], {"inner": alone})["inner"]
    total = sum(losses.values())
    for row, share in enumerate(shares["inner"][1].tolist()):
        # Of 128 answers drawn; rounding of activations moves the least ones.
        assert share == pytest.approx(losses[row] / total, rel=0.5, abs=0.02)
    order = sorted(losses, key=losses.__getitem__)
    assert int(shares["inner"][1].argmax()) in order[-2:]


def test_a_row_that_nothing_reads_loses_nothing():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 1), nn.ReLU(), nn.Conv2d(4, 3, 4)).eval()
    with torch.no_grad():
        model[2].weight[:, 1] = 0
    _, _, shares = shared(model, torch.randn(40, 2, 4, 4), TaskKind.CLASSES)
    assert float(shares["0"][1][1]) == 0
    assert float(shares["0"][1].sum()) == pytest.approx(1)


def test_pixels_are_answers_each():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 1)).eval()
    _, _, shares = shared(model, torch.randn(40, 3, 6, 6), TaskKind.PIXELS)
    assert all(float(each[1].sum()) == pytest.approx(1) for each in shares.values())


def test_what_readers_take_back_is_not_lost():
    """A row that is too large by a factor loses nothing: the weight that reads it can be less."""
    model, images = classifier()

    def changed(one):
        weight = one.layer("grouped").folded()[0].detach().clone().float()
        weight[4] *= 1.2
        generator = torch.Generator().manual_seed(0)
        weight[5] += 0.05 * torch.randn(weight[5].shape, generator=generator)
        return {"grouped": {1: {"grouped": (weight, None)}}}

    one, found, shares = shared(model, images, TaskKind.CLASSES, changed)
    assert float(shares["grouped"][1][4]) < 0.05
    assert float(shares["grouped"][1][5]) > 0.9
    # It does move answers where nobody takes it back.
    alone = one.layer("grouped").folded()[0].detach().clone().float()
    alone[4] = found["grouped"][1]["grouped"][0][4]
    trial = {"grouped": {1: {"grouped": (alone, None)}, 2: found["grouped"][1]}}
    losses = sensitivity(one, images, [TaskKind.CLASSES], trial)["grouped"]
    assert losses[1] > 0.05 * losses[2]


def test_who_mixes_channels():
    x = nn.Conv2d(2, 8, 3)
    deep = nn.Conv2d(8, 8, 3, groups=8)
    model = nn.Sequential(x, nn.MaxPool2d(2), deep, nn.ReLU(), nn.Conv2d(8, 3, 1)).eval()
    plan = calibrated_on(model, torch.randn(8, 2, 12, 12)).build(1, "nearest").plan
    assert [_mixes(plan, name) for name in ("0", "2", "4")] == [False, True, None]


def test_of_what_loses_nothing_all_rows_have_as_much():
    model, images = classifier()

    def changed(one):
        weight = one.layer("inner").folded()[0].detach()
        return {"inner": {1: {"inner": (weight.float(), None)}}}

    _, _, shares = shared(model, images, TaskKind.CLASSES, changed)
    assert shares["inner"][1].tolist() == [1 / 8] * 8
