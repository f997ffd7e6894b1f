"""A regression's own squared error is that against labels, whatever form they are given in."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.run import blocks_of
from qnn.ptq import labelled_errors as module
from qnn.ptq.data import batches_of, listed
from qnn.ptq.labelled_errors import labelled_errors
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


def errors(model, data, *kinds):
    given = listed(data)
    batches = batches_of(given, range(1, 2))
    graph = fuse(capture(model, batches[0]))
    return labelled_errors(graph, given, [blocks_of(graph, batch) for batch in batches], kinds)


def squared(values, labels) -> float:
    return float((values.double() - labels.double()).square().mean())


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Linear(6, 2), (6,)),
        (lambda: nn.Linear(12, 3), (5, 12)),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.PixelShuffle(2)), (1, 4, 6)),
    ],
    ids=["vectors", "tokens", "images"],
)
def test_all_batches_count(make, shape):
    model, x = made(make, *shape)
    with torch.no_grad():
        answers = model(x)
    y = answers + torch.randn(answers.shape)
    wanted = pytest.approx(squared(answers, y))
    halves = [(x[:40], y[:40]), (x[40:], y[40:])]
    forms = [(x, y)], [((x,), (y,))], halves, DataLoader(TensorDataset(x, y), 7)
    for data in forms:
        assert errors(model, data, TaskKind.REGRESSION) == (wanted,)


def test_labels_of_some_outputs_tell_of_these():
    model, x = made(Heads, 6)
    with torch.no_grad():
        classes, values = model(x)
    y, kinds = values + torch.randn(values.shape), (TaskKind.CLASSES, TaskKind.REGRESSION)
    known = (None, pytest.approx(squared(values, y)))
    for labels in ((classes.argmax(1), y), [classes.argmax(1), y], (None, y)):
        assert errors(model, [(x, labels)], *kinds) == known
    for data in ([(x, (classes.argmax(1), None))], [(x, classes.argmax(1))], [x], x):
        assert errors(model, data, *kinds) == (None, None)


def test_many_samples_are_looked_at_in_steps(monkeypatch):
    monkeypatch.setattr(module, "ENOUGH", 20)
    model, x = made(lambda: nn.Linear(6, 2), 6)
    with torch.no_grad():
        y = model(x) + torch.randn(COUNT, 2)
        wanted = pytest.approx(squared(model(x[::3]), y[::3]))
    for data in ([(x, y)], [(x[:30], y[:30]), (x[30:], y[30:])]):
        assert errors(model, data, TaskKind.REGRESSION) == (wanted,)


def test_labels_of_some_batches_tell_by_these():
    model, x = made(lambda: nn.Linear(6, 2), 6)
    with torch.no_grad():
        y = model(x) + torch.randn(COUNT, 2)
        wanted = pytest.approx(squared(model(x[20:]), y[20:]))
    assert errors(model, [x[:20], (x[20:], y[20:])], TaskKind.REGRESSION) == (wanted,)


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
    assert errors(model, [(x, labels)], kind) == (None,)
    # And are no matter to what does not need them.
    task = {"task": kind.value, "terms": 1, "activation_bits": 8}
    _, _, lines = searched(model, [(x, labels)], **task)
    guessed = any("labels beside the images would" in line for line in lines)
    assert guessed == (kind is TaskKind.REGRESSION)


def test_labels_of_probabilities_are_not_compared_with_scores():
    model, x = made(lambda: nn.Sequential(nn.Linear(6, 3), nn.Softmax(1)), 6)
    y = torch.rand(COUNT, 3).softmax(1)
    assert errors(model, [(x, y)], TaskKind.REGRESSION) == (None,)


def test_a_search_measures_by_labels():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2)).eval()
    x = torch.randn(400, 6)
    with torch.no_grad():
        answers = model(x)
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
