"""What training says is lost against a teacher is what quantization says, on the same images."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.run import blocks_of
from qnn.nn.training import Recipe, train
from qnn.nn.training.held_out import split
from qnn.ptq.auto.held_out import HeldOut
from qnn.tasks.kinds import TaskKind
from qnn.tasks.losses import spread
from qnn.tasks.lost import OWN_ERROR
from qnn.tasks.structures import tensors_of
from tests.nearest import quantize

COUNT = 400  # of which 40 are held out


class Heads(nn.Module):
    """One of classes, one of values."""

    def __init__(self):
        super().__init__()
        self.trunk, self.kind, self.size = nn.Linear(6, 16), nn.Linear(16, 3), nn.Linear(16, 2)

    def forward(self, x):
        x = torch.relu(self.trunk(x))
        return self.kind(x), self.size(x)


def dense(outputs):
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, outputs))


NETWORKS = {
    "classes": (lambda: dense(3), (TaskKind.CLASSES,)),
    "reconstruction": (lambda: dense(6), (TaskKind.RECONSTRUCTION,)),
    "regression": (lambda: dense(2), (TaskKind.REGRESSION,)),
    "two heads": (Heads, (TaskKind.CLASSES, TaskKind.REGRESSION)),
}


@pytest.mark.filterwarnings("ignore:train ended worse")
@pytest.mark.parametrize("name", NETWORKS)
def test_losses_before_and_after_are_those_of_quantization(name):
    make, kinds = NETWORKS[name]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(COUNT, 6, generator=generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make().eval()
    asked = [kind.value for kind in kinds]
    quantized = quantize(model, x, weight_bits=2, task=asked)
    images = x[split(COUNT, 512)[1]]
    graph = fuse(capture(model, images))
    judge = HeldOut.of(graph, blocks_of(graph, (images,)), kinds)
    if TaskKind.REGRESSION in kinds:
        # Training estimates a regression's own error from all of its images.
        with torch.no_grad():
            values = tensors_of(model(x))[-1]
        own = (*judge.own_errors[:-1], OWN_ERROR * spread(values))
        judge = replace(judge, own_errors=own)

    before = judge.loss(quantized)
    # A temperature of the recipe's is no part of what is lost.
    recipe = Recipe(steps=20, batch=32, temperature=3.0)
    report = train(quantized, x, recipe, teacher=model, task=asked).held_out
    assert report.unit == judge.unit
    assert before.lost > 0
    assert report.lost_before.lost == pytest.approx(before.lost, rel=1e-3)
    assert report.lost_before.error == pytest.approx(before.error, rel=1e-3)
    assert report.lost.lost == pytest.approx(judge.loss(quantized).lost, rel=1e-3)


def test_labels_tell_a_regressions_own_error():
    x = torch.randn(COUNT, 6, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = dense(2).eval()
    with torch.no_grad():
        y = model(x) + torch.randn(COUNT, 2, generator=torch.Generator().manual_seed(1))
    quantized = quantize(model, [(x, y)], weight_bits=2)
    graph, places = fuse(capture(model, x)), split(COUNT, 512)[1]
    images = blocks_of(graph, (x[places],))
    before = HeldOut.of(graph, images, [TaskKind.REGRESSION], [y[places]]).loss(quantized)
    report = train(quantized, (x, y), Recipe(steps=20, batch=32), teacher=model).held_out
    assert before.lost > 0
    assert report.lost_before.lost == pytest.approx(before.lost, rel=1e-3)


@pytest.mark.filterwarnings("ignore:train ended worse")
def test_labels_of_probabilities_are_not_compared_with_scores():
    x = torch.randn(COUNT, 6, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(dense(3), nn.Softmax(1)).eval()
    quantized = quantize(model, x, weight_bits=2, task="regression")
    y = torch.rand(COUNT, 3, generator=torch.Generator().manual_seed(1)).softmax(1)
    lost, recipe = [], Recipe(steps=1, batch=32)
    # Labels of the same spread, of other samples.
    for labels in (y, y.flip(0)):
        given, data = copy.deepcopy(quantized), (x, labels)
        lost.append(train(given, data, recipe, teacher=model, task="regression").held_out)
    assert lost[0].lost_before == lost[1].lost_before


def test_without_a_teacher_nothing_is_said_to_be_lost():
    x = torch.randn(COUNT, 6, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    quantized = quantize(dense(2).eval(), x, weight_bits=2)
    report = train(quantized, (x, y), Recipe(steps=200, batch=32)).held_out
    assert report.lost_before is report.lost_after is report.lost is None
