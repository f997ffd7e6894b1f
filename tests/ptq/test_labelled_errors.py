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
from qnn.ptq.quantize import quantize
from qnn.tasks.kinds import TaskKind
from qnn.tasks.losses import spread
from qnn.tasks.lost import LEAST_ERROR, OWN_ERROR, own_error
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


def test_samples_beyond_enough_are_not_looked_at(monkeypatch):
    monkeypatch.setattr(module, "ENOUGH", 10)
    model, x = made(lambda: nn.Linear(6, 2), 6)
    with torch.no_grad():
        y = model(x) + torch.randn(COUNT, 2)
        wanted = squared(model(x[:10]), y[:10])
    for data in ([(x, y)], [(x[:4], y[:4]), (x[4:], y[4:])]):
        assert errors(model, data, TaskKind.REGRESSION) == (pytest.approx(wanted),)


def test_labels_that_were_learnt_by_heart_leave_an_error():
    x, answers = torch.zeros(COUNT, 6), torch.randn(COUNT, 2)
    least = LEAST_ERROR * spread(answers)
    assert own_error(x, answers, TaskKind.REGRESSION, least / 1e6) == least
    assert own_error(x, answers, TaskKind.REGRESSION, 3 * least) == 3 * least
    # Answers that are the labels are more likely the labels' source.
    assert own_error(x, answers, TaskKind.REGRESSION, 0.0) == OWN_ERROR * spread(answers)


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
        assert any("no labels" in line for line in lines) == (share is None)
    # The same network against errors of other sizes.
    assert lost[0.1] == pytest.approx(9 * lost[0.3], rel=1e-2)
    assert lost[None] == pytest.approx(0.01 / OWN_ERROR * lost[0.1], rel=0.2)


def test_labels_of_another_size_are_refused_before_work():
    model, x = made(lambda: nn.Linear(6, 2), 6)
    with pytest.raises(Exception, match="labels"):
        quantize(model, [(x, torch.randn(COUNT, 5))])
