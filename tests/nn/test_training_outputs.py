"""Networks of several outputs are trained and rounded as those of one are."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import qnn
from qnn.errors import ModelError
from qnn.ir.encode import encode_input
from qnn.ir.reference import reference
from qnn.nn.round import round_module
from qnn.nn.training import accuracy
from qnn.nn.training.gather import gathered
from qnn.nn.training.heads import TrainedHead
from qnn.nn.training.losses import losses
from qnn.quant.rounding import ROUNDINGS
from qnn.tasks.kinds import TaskKind
from qnn.tasks.losses import TaskLoss, spread
from tests.nearest import quantize

RECIPE = qnn.Recipe(steps=60, batch=16, rate=1e-2)


def made(function):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return function()


class TwoHeaded(nn.Module):
    """Three classes, and a value of another scale, in the nesting that ``give`` makes."""

    def __init__(self, give):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Flatten())
        self.side, self.light = nn.Linear(72, 3), nn.Linear(72, 1)
        self.give = give

    def forward(self, x):
        x = self.body(x)
        return self.give(self.side(x), self.light(x))


class Map(nn.Module):
    """A segmentation network with an auxiliary result, as torchvision's are."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, 1, 1), nn.ReLU())
        self.main, self.second = nn.Conv2d(8, 3, 3, 1, 1), nn.Conv2d(8, 3, 1)

    def forward(self, x):
        x = self.body(x)
        return {"out": self.main(x), "aux": self.second(x)}


class Detector(nn.Module):
    """Three maps of several sizes, of 7 channels each."""

    def __init__(self):
        super().__init__()
        steps = [nn.Conv2d(1 if n == 0 else 8, 8, 3, 2, 1) for n in range(3)]
        self.steps = nn.ModuleList(nn.Sequential(each, nn.ReLU()) for each in steps)
        self.heads = nn.ModuleList(nn.Conv2d(8, 7, 1) for _ in range(3))

    def forward(self, x):
        found = []
        for step, head in zip(self.steps, self.heads, strict=True):
            x = step(x)
            found.append(head(x))
        return found


def as_tuple(side, light):
    return side, light


def as_list(side, light):
    return [side, light]


def as_dictionary(side, light):
    return {"side": side, "light": light}


NESTINGS = {"tuple": as_tuple, "list": as_list, "dictionary": as_dictionary}


def samples(count=96, seed=0):
    """Images with a bright part, where it is, and three times the mean brightness."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (count,), generator=generator)
    x = torch.randn(count, 1, 6, 6, generator=generator) * 0.3
    x[y == 0, :, :, :3] += 1
    x[y == 1, :, :, 3:] += 1
    return x, (y, 3 * x.mean((1, 2, 3))[:, None])


def pictures(count=48, size=8):
    """Images of noise, and the class of each pixel, which its brightness decides."""
    x = torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] > -0.5).long() + (x[:, 0] > 0.5)


def equal_integers(quantized, x):
    graph = qnn.export(quantized)
    answers = reference(graph, encode_input(graph, x.numpy()))
    return all((t.numpy() == answers[name]).all() for name, t in quantized.tensors(x).items())


@pytest.mark.parametrize("give", NESTINGS.values(), ids=NESTINGS)
def test_a_network_of_two_heads_learns_both(give, tmp_path):
    x, labels = samples()
    labels = dict(zip(("side", "light"), labels, strict=True)) if give is as_dictionary else labels
    model, lines = made(lambda: TwoHeaded(give)), tmp_path / "lines.jsonl"
    report = qnn.train(model, (x, labels), RECIPE, validation=(x, labels), metrics=lines)
    side, light = ("side", "light") if give is as_dictionary else ("output_0", "output_1")
    assert report.task == {side: "classes", light: "regression"}
    assert report.test[side]["accuracy"] > 90
    assert report.test[light]["r2"] > 0.8
    assert report.test_accuracy is None
    measured = [json.loads(line) for line in lines.read_text().splitlines()]
    assert report.loss < measured[0]["loss"]
    assert measured[-1][f"test_{light}_r2"] == report.test[light]["r2"]


@pytest.mark.parametrize("scale", [0.01, 300.0])
def test_neither_the_scale_nor_the_size_of_an_output_counts(scale):
    generator = torch.Generator().manual_seed(0)
    values, wanted = torch.randn(2, 6, 4, generator=generator)
    scores, answers = torch.randn(2, 6, 3, 2, 2, generator=generator)
    y = torch.randint(3, (6, 2, 2), generator=generator)

    def loss(scale, repeats):
        maps = [each.repeat(1, 1, *repeats) for each in (scores, answers)]
        labels = (y.repeat(1, *repeats), scale * wanted)
        heads = (
            TrainedHead("map", maps[0].shape[1:], TaskLoss(TaskKind.PIXELS)),
            TrainedHead("value", (4,), TaskLoss(TaskKind.REGRESSION, spread(labels[1]))),
        )
        outputs, taught = (maps[0], scale * values), (maps[1], scale * wanted)
        return losses(outputs, taught, labels, qnn.Recipe(labels=0.5), heads)

    torch.testing.assert_close(loss(scale, (5, 3)), loss(1.0, (1, 1)))


def test_an_output_of_which_nothing_is_known_adds_nothing():
    x, (y, light) = samples()
    model = made(lambda: TwoHeaded(as_tuple))
    before = model.light.weight.clone()
    report = qnn.train(model, (x, (y, None)), RECIPE, validation=(x, (y, light)))
    assert torch.equal(model.light.weight, before)
    assert report.test["output_0"]["accuracy"] > 90


def test_items_with_a_label_for_each_output_are_a_loaders_batches():
    x, (y, light) = samples()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y, light), 7)
    wanted, found = (made(lambda: TwoHeaded(as_tuple)) for _ in range(2))
    qnn.train(wanted, (x, (y, light)), RECIPE)
    qnn.train(found, loader, RECIPE)
    pairs = zip(wanted.state_dict().values(), found.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    dictionaries = [(x[part], {"a": y[part]}) for part in (slice(50), slice(50, None))]
    assert torch.equal(gathered(dictionaries, "training", 0)[1]["a"], y)


def test_the_main_and_the_auxiliary_result_learn_each_pixels_class():
    x, y = pictures()
    model = made(Map)
    recipe = qnn.Recipe(steps=60, batch=16, rate=2e-2)
    report = qnn.train(model, (x, y), recipe, validation=(x, y))
    assert report.task == {"out": "pixels", "aux": "pixels"}
    assert report.test["out"]["mean_iou"] > 80
    assert report.test["aux"]["mean_iou"] > 80
    quantized = quantize(model, x, weight_bits=3)
    again = qnn.train(quantized, (x, y), recipe, teacher=model, validation=(x, {"out": y}))
    assert again.test["out"]["mean_iou"] > 80
    assert not again.test["aux"]
    assert equal_integers(quantized, x[:4])


@pytest.mark.parametrize("teacher", [False, True], ids=["alone", "beside a teacher"])
def test_a_loss_of_the_users_gets_what_the_float_model_gives(teacher):
    x, y = pictures()
    seen = set()

    def loss(outputs, labels):
        seen.add((type(outputs), *outputs, labels.dtype))
        return sum(F.cross_entropy(outputs[name], labels) for name in ("out", "aux"))

    model = made(Map)
    report = qnn.train(model, (x, y), RECIPE, loss=loss, validation=(x, y))
    before = quantize(model, x, weight_bits=2)
    assert report.test["loss"] < report.loss * 1.5
    assert report.task == {}
    if teacher:
        recipe = qnn.Recipe(steps=20, batch=16, labels=1.0)
        assert qnn.train(before, (x, y), recipe, loss=loss, teacher=model).loss > 0
    assert seen == {(dict, "out", "aux", torch.int64)}


def test_a_detector_of_three_heads_learns_by_its_own_loss_and_from_its_teacher():
    x = pictures(size=16)[0]
    boxes = torch.randn(len(x), 5, 4, generator=torch.Generator().manual_seed(1))

    def loss(heads, wanted):
        assert isinstance(heads, list)
        return sum((head[:, :4].mean((2, 3)) - wanted.mean(1)).square().mean() for head in heads)

    model = made(Detector)
    report = qnn.train(model, (x, boxes), RECIPE, loss=loss, validation=(x, boxes))
    with torch.no_grad():
        assert report.test["loss"] < float(loss(made(Detector)(x), boxes))
    quantized = quantize(model, x[:32], weight_bits=2)
    before = distances(model, quantized, x[32:])
    report = qnn.train(quantized, x[:32], RECIPE, teacher=model)
    # Boxes, scores and classes side by side do not compete.
    assert set(report.task.values()) == {"regression"}
    after = distances(model, quantized, x[32:])
    assert sum(after) < sum(before)
    assert equal_integers(quantized, x[:4])


@torch.no_grad()
def distances(model, quantized, x):
    """The relative squared error of each output."""
    wanted = torch.utils._pytree.tree_leaves(model(x))
    pairs = zip(wanted, quantized(x), strict=True)
    return [float((a - b).square().sum() / a.square().sum()) for a, b in pairs]


@pytest.mark.parametrize("give", NESTINGS.values(), ids=NESTINGS)
def test_rounding_that_learns_is_nearer_to_the_teacher_in_each_head(give):
    model = made(lambda: TwoHeaded(give))
    x, labels = samples(256)
    names = ("side", "light")
    qnn.train(
        model, (x, dict(zip(names, labels, strict=True)) if give is as_dictionary else labels)
    )
    unseen = samples(256, seed=1)[0]
    options = {"steps": 150, "batch": 64, "loss": "squared"}
    nearest = quantize(model, x, weight_bits=2)
    learnt = quantize(model, x, weight_bits=2, rounding="discquant", rounding_options=options)
    before, after = (distances(model, each, unseen) for each in (nearest, learnt))
    assert all(new < old for new, old in zip(after, before, strict=True))
    assert equal_integers(learnt, unseen[:8])


@pytest.mark.parametrize("together", [False, True], ids=["beside each other", "in a tuple"])
def test_labels_of_a_loader_tell_what_rounding_keeps_of_each_head(together):
    model = made(lambda: TwoHeaded(lambda side, light: (side, side * light)))
    x, (y, light) = samples()
    boxes = light * torch.ones(3)
    options = {"steps": 20, "batch": 32}

    def rounded(data, **given):
        made = {"weight_bits": 2, "rounding": "discquant", "rounding_options": options, **given}
        return torch.cat([t.flatten() for t in quantize(model, data, **made)(x[:8])])

    found = rounded([(x, (y, boxes)) if together else (x, y, boxes)])
    assert torch.equal(found, rounded(x, task=("classes", "regression")))
    assert not torch.equal(found, rounded(x))


@pytest.mark.parametrize("method", ROUNDINGS)
def test_every_rounding_takes_a_module_that_gives_a_dictionary(method):
    model = made(lambda: TwoHeaded(as_dictionary))
    options = {"discquant": {"steps": 4}, "adaround": {"steps": 4}}.get(method)
    names = ["body.0.weight", "side.weight", "light.weight"]
    rounded = round_module(model, names, samples()[0], method, options=options)
    assert set(rounded(samples(2)[0])) == {"side", "light"}


def test_a_run_of_two_heads_goes_on_from_its_checkpoint_and_knows_its_tasks(tmp_path):
    x, (y, light) = samples()
    path, data = tmp_path / "run", (x, (y, light))
    models = [made(lambda: TwoHeaded(as_tuple)) for _ in range(2)]
    for model in models:
        qnn.train(model, data, RECIPE, checkpoint=path)
    pairs = zip(*(model.state_dict().values() for model in models), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)

    def loss(outputs, labels):
        return outputs[0].mean()

    for given, text in (
        ({"loss": loss}, "is of another task"),
        ({"data": (x, (y, light + 1))}, "is of other training data"),
    ):
        model, given = made(lambda: TwoHeaded(as_tuple)), {"data": data, **given}
        assert refusal(model, recipe=RECIPE, checkpoint=path, **given) == (
            f"checkpoint {path} {text}; name another file, or remove it"
        )


class GivesMoreInTraining(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))

    def forward(self, x):
        return (self.layer(x), self.layer(x)) if self.training else self.layer(x)


def refusal(model, data, recipe=RECIPE, **given):
    with pytest.raises(ModelError) as raised:
        qnn.train(model, data, recipe, **given)
    return str(raised.value)


def test_labels_that_leave_open_which_output_they_are_for_are_refused():
    x, (y, light) = samples()
    start = (
        "train needs labels for each output of the model, which are 'side' (3,), 'light' (1,), not "
    )
    end = (
        "; give one entry for each, None where there are no labels (y_train_0, y_train_1 in a file)"
    )
    model = made(lambda: TwoHeaded(as_dictionary))
    for labels, got in ((y, "one tensor for all"), ((y,), "1 entries"), ({"far": y}, "'far'")):
        assert refusal(model, (x, labels)) == start + got + end
    assert refusal(model, (x, (y + 1, light))) == (
        "train, for output 'side', needs training labels from 0 to 2, because the model has 3 "
        "classes, not 3; number the classes from 0"
    )
    assert refusal(model, (x, (None, None))) == (
        "train needs labels, or a teacher that answers for them, but got images alone; give either"
    )


def test_outputs_that_are_no_tensors_of_samples_are_refused():
    x, (y, _) = samples()
    model = made(lambda: TwoHeaded(lambda side, light: (side, light.mean())))
    assert refusal(model, (x, (y, None))) == (
        "train needs a model whose outputs are tensors (images, ...), not (); choose among its "
        "outputs, or give a loss that takes them"
    )
    assert refusal(made(GivesMoreInTraining), (x, y)) == (
        "train needs as many outputs in training as the model has in evaluation, 1, not 2; give a "
        "loss that takes what it has in training"
    )


def test_a_loss_that_is_none_is_refused():
    x, (y, _) = samples()
    model, teacher = (made(lambda: TwoHeaded(as_tuple)) for _ in range(2))
    assert refusal(model, (x, y), loss=lambda got, y: got[0]) == (
        "train needs a loss that gives one number in a tensor, the mean over the batch, not shape "
        "(16, 3); return its mean"
    )
    assert refusal(model, x, loss=lambda got, y: got[0].mean()) == (
        "train needs labels for a loss, but got images alone; give both"
    )
    assert refusal(model, (x, y), loss=lambda got, y: got[0].mean(), teacher=teacher) == (
        "train got a loss that counts for nothing beside the teacher; weigh it: Recipe(labels=1)"
    )
    assert refusal(model, (x, y), loss=lambda got, y: got["a"], validation=(x, y)) == (
        "train needs a loss that takes what the model gives in evaluation and test labels: tuple "
        "indices must be integers or slices, not str; leave out test data, or let it take both"
    )


def test_the_accuracy_of_several_outputs_is_refused():
    x, (y, _) = samples()
    with pytest.raises(ModelError) as raised:
        accuracy(made(lambda: TwoHeaded(as_dictionary)), x, y)
    assert str(raised.value) == (
        "accuracy needs a model of one output, not 'side', 'light'; give a function that chooses "
        "one, or take qnn.evaluate"
    )
