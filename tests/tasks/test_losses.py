"""The losses of each task: 0 at the teacher, true gradients, and no softmax of one value."""

import pytest
import torch
from torch import nn

from qnn.nn.training import Recipe, train
from qnn.ptq import sensitivity
from qnn.quant.rounding import Answers, distillation
from qnn.quant.rounding.distillation import Measure, drawn_slope
from qnn.tasks.kinds import VOID, TaskKind
from qnn.tasks.losses import TaskLoss, spread
from tests.nearest import quantize
from tests.quant.test_rounding_discquant import PAPER

SHAPES = {TaskKind.PIXELS: (3, 2, 2), TaskKind.BINARY: (1,)}


def outputs(kind, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(5, *SHAPES.get(kind, (3,)), generator=generator, dtype=torch.float64)


def labels(kind):
    generator = torch.Generator().manual_seed(9)
    shape = SHAPES.get(kind, (3,))
    if kind.competes:
        return torch.randint(3, (5, *shape[1:]), generator=generator)
    return torch.randint(2, (5, *shape), generator=generator).double()


@pytest.mark.parametrize("kind", TaskKind)
def test_the_distance_is_0_at_the_teacher_and_has_its_true_gradient(kind):
    own, student, teacher = TaskLoss(kind, 2.0), outputs(kind, 0), outputs(kind, 1)
    assert float(own.of_answers(teacher, teacher, 3.0)) == pytest.approx(0, abs=1e-12)
    assert float(own.of_answers(student, teacher, 3.0)) > 0
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: own.of_answers(x, teacher, 2.0), student)
    assert torch.autograd.gradcheck(lambda x: own.of_labels(x, labels(kind)), student)


@pytest.mark.parametrize("kind", TaskKind)
def test_one_value_is_never_a_softmax(kind):
    # A softmax over one value is 1 whatever it is, and its loss 0.
    if kind.competes:
        return
    own = TaskLoss(kind)
    one, other = torch.tensor([[0.5]]), torch.tensor([[-2.0]])
    assert float(own.of_answers(one, other)) > 0.1


def test_pixels_of_no_class_are_neither_learnt_nor_counted():
    own, maps = TaskLoss(TaskKind.PIXELS), torch.tensor([[[0, 1], [VOID, VOID]]])
    given = torch.zeros(1, 3, 2, 2)
    given[0, 0] = 1.0  # class 0 everywhere
    known = own.of_labels(given[:, :, :1], maps[:, :1], 0.1)
    assert float(own.of_labels(given, maps, 0.1)) == pytest.approx(float(known))
    assert float(own.right(given, maps)) == 0.5
    # A batch of such pixels alone moves nothing, and is no NaN.
    given.requires_grad_()
    loss = own.of_labels(given, torch.full_like(maps, VOID))
    loss.backward()
    assert (loss.item(), float(given.grad.abs().sum())) == (0.0, 0.0)
    assert float(own.right(given.detach(), torch.full_like(maps, VOID))) == 1.0


def test_the_unit_is_the_variance_over_samples():
    values = torch.tensor([[1.0, 100.0], [3.0, 104.0]])
    assert spread(values) == pytest.approx((1 + 4) / 2)
    assert spread(torch.full((3, 2), 2.0)) == 4.0
    assert spread(torch.zeros(3, 2)) == 1.0


def data(outputs_, count=256):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 6, generator=generator)
    return x, x @ torch.randn(6, outputs_, generator=generator) + 5


def network(outputs_):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, outputs_))


def trained(outputs_, x, y):
    model = network(outputs_)
    train(model, (x, y), Recipe(epochs=30, batch=32, rate=2e-2), device="cpu")
    return model


@pytest.mark.parametrize("outputs_", [1, 4])
def test_a_regressor_that_trains_on_its_grid_gets_better(outputs_):
    x, y = data(outputs_)
    model = trained(outputs_, x, y)
    quantized = quantize(model, x)
    before = float((quantized(x) - y).square().mean())
    for lesson in ((x, y), x):
        learnt = quantize(model, x)
        recipe = Recipe(epochs=6, batch=32, rate=2e-3)
        task = None if isinstance(lesson, tuple) or outputs_ == 1 else "regression"
        teacher = None if isinstance(lesson, tuple) else model
        report = train(learnt, lesson, recipe, teacher=teacher, device="cpu", task=task)
        assert report.task == "regression"
        assert report.loss > 0
        # Where it starts, biases are corrected already, which is most of what there is to gain.
        assert float((learnt(x) - y).square().mean()) < 0.9 * before


def test_an_autoencoder_rounded_without_labels_stays_one():
    torch.manual_seed(0)
    # What all samples share is large, and a softmax sees the largest value alone.
    x = torch.randn(256, 2) @ torch.randn(2, 8) + 20 * torch.randn(8)
    model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 8))
    train(model, x, Recipe(epochs=60, batch=32, rate=2e-2), device="cpu")
    error = {}
    for loss in ("task", "kl"):
        options = PAPER | {"steps": 150, "batch": 64, "loss": loss}
        settings = {"rounding_options": options, "bias_correction": False}
        rounded = quantize(model, x, rounding="discquant", **settings)
        error[loss] = float((rounded(x) - x).square().mean().detach())
    assert error["task"] < error["kl"] / 2


def test_the_loss_follows_the_task_that_is_asked_for():
    x, y = data(4)
    model = trained(4, x, y)
    options = {"steps": 60, "batch": 64}
    found = {}
    for task in ("classes", "regression"):
        found[task] = quantize(model, x, rounding="discquant", rounding_options=options, task=task)
    loader = [(x, y)]
    labelled = quantize(model, loader, rounding="discquant", rounding_options=options)
    codes = {
        name: [m.indices() for m in each.modules() if hasattr(m, "indices")]
        for name, each in (*found.items(), ("labels", labelled))
    }
    assert all(map(torch.equal, codes["regression"], codes["labels"]))
    assert not all(map(torch.equal, codes["regression"], codes["classes"]))


def test_classes_with_a_position_of_their_own_are_classes():
    """Of a map that is pooled to one place, as its convolution gives it."""
    wanted, got = torch.randn(5, 4), torch.randn(5, 4)
    measure = Measure(kinds=(TaskKind.CLASSES,), temperature=2.0)
    flat = measure(Answers((wanted,)), Answers((got,)))
    assert float(flat) > 0.01
    for shape in ((5, 4, 1), (5, 4, 1, 1)):
        pair = (Answers((each.reshape(shape),)) for each in (wanted, got))
        torch.testing.assert_close(measure(*pair), flat)


SHAPED = {"one place": (), "a length": (6,), "one pixel of many": (6, 1), "a map": (2, 3)}


@pytest.mark.parametrize("places", SHAPED.values(), ids=SHAPED)
def test_classes_are_dimension_1_of_every_loss(places):
    """However many places there are, as many vectors side by side lose the same."""
    kind = TaskKind.PIXELS if places else TaskKind.CLASSES
    draws = torch.Generator().manual_seed(0)
    wanted, got = (torch.randn(5, 4, *places, generator=draws) for _ in range(2))
    vectors = [x.flatten(2).mT.reshape(-1, 4) if places else x for x in (wanted, got)]

    def of_measure(loss, kind):
        return lambda p, q: Measure(loss, kinds=(kind,))(Answers((p,)), Answers((q,)))

    losses = (
        lambda p, q, kind: TaskLoss(kind).of_answers(q, p, 2.0),
        lambda p, q, kind: sensitivity.divergence(p, q, kind).float(),
        lambda p, q, kind: distillation.divergence(p, q, 2.0),
        lambda p, q, kind: of_measure("task", kind)(p, q),
        lambda p, q, kind: of_measure("kl", kind)(p, q),
    )
    for loss in losses:
        flat = loss(*vectors, TaskKind.CLASSES)
        assert float(flat) > 0.01
        torch.testing.assert_close(loss(wanted, got, kind), flat)
    slope = drawn_slope(kind, wanted[:1], 1.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(slope.sum(1), torch.zeros_like(slope.sum(1)))


def test_of_a_module_that_nobody_told_the_task_of_classes_are_where_its_kind_has_them():
    """Of tokens the last axis, of all else dimension 1."""
    draws = torch.Generator().manual_seed(0)
    tokens = [torch.randn(3, 6, 4, generator=draws) for _ in range(2)]
    for loss in ("task", "kl"):
        untold = Measure(loss)(*(Answers((x,)) for x in tokens))
        told = Measure(loss, kinds=(TaskKind.PIXELS,))(*(Answers((x.mT,)) for x in tokens))
        assert float(untold) == float(told) > 0.01
        vectors = [x.flatten(0, 1) for x in tokens]
        flat = Measure(loss)(*(Answers((x,)) for x in vectors))
        torch.testing.assert_close(untold, flat)
    # One token has no position to compete with.
    assert float(Measure()(*(Answers((x[:, :1],)) for x in tokens))) > 0.01
    maps = [torch.randn(3, 4, 2, 2, generator=draws) for _ in range(2)]
    told = Measure(kinds=(TaskKind.PIXELS,))
    assert float(Measure()(*(Answers((x,)) for x in maps))) == float(
        told(*(Answers((x,)) for x in maps))
    )
