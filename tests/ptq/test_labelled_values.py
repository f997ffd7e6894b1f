"""What a regression should give is what labels say, whatever form they are given in."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.ptq.data import batches_of, listed
from qnn.ptq.labelled_values import labelled_values
from qnn.tasks.kinds import TaskKind
from qnn.tasks.losses import spread
from qnn.tasks.lost import LEAST_ERROR, OWN_ERROR, SAME, own_error
from tests.ptq.auto.test_automatic import searched

COUNT = 60


class Heads(nn.Module):
    """Classes and values."""

    def __init__(self):
        super().__init__()
        self.classes, self.values = nn.Linear(6, 3), nn.Linear(6, 2)

    def forward(self, x):
        return self.classes(x), self.values(x)


def made(make, *shape):
    """A network, and images for it."""
    torch.manual_seed(0)
    return make().eval(), torch.randn(COUNT, *shape)


def wanted(model, data, *kinds):
    given = listed(data)
    batches = batches_of(given, range(1, 2))
    graph = fuse(capture(model, batches[0]))
    return labelled_values(graph, given, batches, kinds)


def squared(values, labels) -> float:
    return float((values.double() - labels.double()).square().mean())


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Linear(6, 2), (6,)),
        (lambda: nn.Linear(12, 3), (5, 12)),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.PixelShuffle(2)), (1, 4, 6)),
        (lambda: nn.Linear(6, 1), (6,)),
    ],
    ids=["vectors", "tokens", "images", "one value"],
)
def test_all_batches_count(make, shape):
    model, x = made(make, *shape)
    with torch.no_grad():
        y = torch.randn(model(x).shape)
    halves = [(x[:40], y[:40]), (x[40:], y[40:])]
    forms = [(x, y)], [((x,), (y,))], halves, DataLoader(TensorDataset(x, y), 7)
    for data in forms:
        (found,) = wanted(model, data, TaskKind.REGRESSION)
        assert torch.equal(found, y)


def test_labels_of_one_value_need_no_axis_of_it():
    model, x = made(lambda: nn.Linear(6, 1), 6)
    y = torch.randn(COUNT)
    (found,) = wanted(model, [(x, y)], TaskKind.REGRESSION)
    assert torch.equal(found, y[:, None])


def test_labels_of_some_outputs_tell_of_these():
    model, x = made(Heads, 6)
    classes = torch.arange(COUNT) % 3
    y, kinds = torch.randn(COUNT, 2), (TaskKind.CLASSES, TaskKind.REGRESSION)
    for labels in ((classes, y), [classes, y], (None, y)):
        none, found = wanted(model, [(x, labels)], *kinds)
        assert none is None
        assert torch.equal(found, y)
    for data in ([(x, (classes, None))], [(x, classes)], [x], x):
        assert wanted(model, data, *kinds) == (None, None)


def test_of_batches_without_labels_nothing_is_known():
    model, x = made(lambda: nn.Linear(6, 2), 6)
    y = torch.randn(COUNT, 2)
    (found,) = wanted(model, [x[:20], (x[20:], y[20:])], TaskKind.REGRESSION)
    assert bool(found[:20].isnan().all())
    assert torch.equal(found[20:], y[20:])


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -1e39])
def test_a_label_that_is_not_finite_tells_nothing_and_the_others_of_its_batch_do(value):
    model, x = made(lambda: nn.Linear(6, 2), 6)
    y = torch.randn(COUNT, 2).double()
    told = torch.ones(COUNT, 2, dtype=torch.bool)
    told[3, 1] = told[40, 0] = False
    given = y.where(told, value)
    (found,) = wanted(model, [(x[:30], given[:30]), (x[30:], given[30:])], TaskKind.REGRESSION)
    assert torch.equal(found[told], y[told].float())
    assert bool(found[~told].isnan().all())
    assert bool((given == y)[told].all())


def of_two_values():
    """A network of two values, images for it, and what it answers."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2)).eval()
    x = torch.randn(400, 6)
    with torch.no_grad():
        return model, x, model(x)


def test_a_search_goes_by_the_labels_that_each_image_has():
    model, x, answers = of_two_values()
    y = answers + 0.3 * spread(answers) ** 0.5 * torch.randn(answers.shape).sign()
    one_each = torch.arange(400)[:, None] % 2 == torch.arange(2)
    lost = []
    for labels in (y, y.where(one_each, torch.nan), y.where(one_each, torch.inf).bfloat16()):
        fixed = {"terms": 1, "activation_bits": 8, "task": "regression"}
        _, result, lines = searched(model, [(x, labels)], target=100, **fixed)
        assert not any("nothing tells it" in line for line in lines)
        lost.append(result.loss.lost)
    assert lost[1:] == pytest.approx([lost[0]] * 2, rel=0.2)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_masks_of_anomalies_are_not_what_an_autoencoder_should_give(dtype):
    model, x = made(lambda: nn.Conv2d(1, 1, 3, padding=1), 1, 4, 6)
    masks = (torch.rand(x.shape) > 0.9).to(dtype)
    assert wanted(model, [(x, masks)], TaskKind.RECONSTRUCTION) == (None,)


def test_what_labels_do_not_tell_takes_no_memory(monkeypatch):
    """Score maps of many classes are larger than all images."""
    model, x = made(lambda: nn.Conv2d(1, 8, 1), 1, 4, 6)
    labels = torch.randint(8, (COUNT, 4, 6))
    monkeypatch.setattr(torch.Tensor, "new_full", None)
    monkeypatch.setattr(torch, "cat", None)
    data = [(x[:40], labels[:40]), x[40:]]
    graph = fuse(capture(model, x))
    batches = [(x[:40],), (x[40:],)]
    assert labelled_values(graph, data, batches, [TaskKind.PIXELS]) == (None,)


@pytest.mark.parametrize("share", [0.0, SAME / 10])
def test_labels_that_are_the_answers_tell_nothing(share):
    assert own_error(share * 7.0, 7.0) == own_error(None, 7.0) == OWN_ERROR * 7.0


def test_labels_that_were_learnt_by_heart_leave_an_error():
    assert own_error(LEAST_ERROR / 1e3 * 7.0, 7.0) == LEAST_ERROR * 7.0
    assert own_error(3 * LEAST_ERROR * 7.0, 7.0) == 3 * LEAST_ERROR * 7.0


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        (TaskKind.RECONSTRUCTION, torch.arange(COUNT) % 2),
        (TaskKind.REGRESSION, torch.full((COUNT, 6), torch.nan)),
        (TaskKind.REGRESSION, torch.arange(COUNT)),
    ],
    ids=["of anomalies", "not finite", "of classes"],
)
def test_labels_that_are_no_values_of_the_output_tell_nothing(kind, labels):
    model, x = made(lambda: nn.Linear(6, 6), 6)
    assert wanted(model, [(x, labels)], kind) == (None,)
    # And are no matter to what does not need them.
    task = {"task": kind.value, "terms": 1, "activation_bits": 8}
    _, _, lines = searched(model, [(x, labels)], **task)
    guessed = any("labels beside the images would" in line for line in lines)
    assert guessed == (kind is TaskKind.REGRESSION)


def test_labels_of_probabilities_are_not_compared_with_scores():
    model, x = made(lambda: nn.Sequential(nn.Linear(6, 3), nn.Softmax(1)), 6)
    y = torch.rand(COUNT, 3).softmax(1)
    assert wanted(model, [(x, y)], TaskKind.REGRESSION) == (None,)


def test_a_search_measures_by_labels():
    model, x, answers = of_two_values()
    off = torch.randn(answers.shape)
    lost = {}
    for share in (0.3, 0.1, None):
        y = None if share is None else answers + share * spread(answers) ** 0.5 * off
        fixed = {"terms": 1, "activation_bits": 8, "task": "regression"}
        data = x if y is None else [(x, y)]
        _, result, lines = searched(model, data, target=100, **fixed)
        lost[share] = result.loss.lost
        assert any("nothing tells it" in line for line in lines) == (share is None)
    # The same network against errors of other sizes.
    assert lost[0.1] == pytest.approx(9 * lost[0.3], rel=1e-2)
    assert lost[None] == pytest.approx(0.01 / OWN_ERROR * lost[0.1], rel=0.2)
