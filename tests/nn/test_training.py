import copy
import json

import pytest
import torch
from torch import nn

from qnn.ir.encode import encode_input
from qnn.ir.reference import reference
from qnn.nn.data import Dataset
from qnn.nn.training import Recipe, accuracy, train
from qnn.ptq.export import export
from qnn.quant import pow2
from qnn.quant.estimators import ESTIMATORS
from tests.nearest import quantize

MEAN, STD = (0.5,), (0.25,)


def images(count=96, seed=0):
    """Bright left halves, bright right halves, and neither: three classes."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (count,), generator=generator)
    x = torch.randint(120, (count, 1, 6, 6), generator=generator)
    x[y == 0, :, :, :3] += 100
    x[y == 1, :, :, 3:] += 100
    return x.to(torch.uint8), y


def data(count=96):
    return Dataset(*images(count), *images(30, seed=1))


def network(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, 1, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(72, 3),
        )


def recipe(**changes):
    return Recipe(**{"epochs": 4, "batch": 16, "rate": 1e-2, **changes})


def trained(**changes):
    """A float network that knows its classes."""
    model = network()
    train(model, data(), recipe(**changes), mean=MEAN, std=STD)
    return model


@pytest.fixture(scope="module")
def teacher():
    return trained(epochs=6)


def quantized_of(teacher, bits=3):
    return quantize(teacher, images()[0], bits, mean=MEAN, std=STD)


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_float_model_learns_and_says_how_well(tmp_path):
    model, lines, done = network(), tmp_path / "metrics.jsonl", []
    report = train(
        model,
        data(),
        recipe(epochs=6),
        metrics=lines,
        progress=lambda step, steps: done.append((step, steps)),
        mean=MEAN,
        std=STD,
    )
    assert report.test_accuracy > 90
    assert done == [(step, 36) for step in range(1, 37)]
    assert not model.training
    measured = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [line["step"] for line in measured] == [6, 12, 18, 20, 24, 30, 36]
    assert measured[-1].keys() == {
        "step",
        "epoch",
        "loss",
        "train_accuracy",
        "test_accuracy",
        "rate",
        "seconds",
        "images_per_second",
    }
    assert [line["epoch"] for line in measured] == [1, 2, 3, 3, 4, 5, 6]
    assert measured[-1]["loss"] == report.loss < measured[0]["loss"] / 2
    assert measured[-1]["test_accuracy"] == report.test_accuracy
    assert measured[3]["test_accuracy"] is None


@pytest.mark.parametrize("method", [name for name in ESTIMATORS if name != "given"])
def test_a_quantized_model_learns_its_teachers_answers_without_labels(teacher, method):
    quantized = quantized_of(teacher)
    x, y = images()
    report = train(quantized, x, recipe(epochs=6, rate=3e-3, method=method), teacher=teacher)
    assert report.test_accuracy is None
    assert accuracy(quantized.from_pixels, x, y) > 0.8
    pixels = x[:8]
    answers = reference(export(quantized), encode_input(export(quantized), pixels.numpy()))
    for name, tensor in quantized.tensors(pixels).items():
        assert (tensor.numpy() == answers[name]).all(), name


def test_the_accuracy_in_the_metrics_is_that_of_the_integers(teacher):
    quantized, found = quantized_of(teacher, bits=2), data()
    report = train(quantized, found, recipe(epochs=1), teacher=teacher)
    assert report.test_accuracy == 100 * accuracy(quantized.from_pixels, found.x_test, found.y_test)


def test_labels_alone_train_a_quantized_model(teacher):
    quantized = quantized_of(teacher, bits=2)
    assert train(quantized, data(), recipe(epochs=6)).test_accuracy > 80


def test_pixels_without_space_train_a_float_model_and_one_on_the_grid():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
    x = torch.randint(256, (64, 16)).to(torch.uint8)
    y = (x[:, 0] > 127).long()
    train(model, (x, y), Recipe(steps=60, batch=32, rate=0.05), mean=MEAN[0], std=STD[0])
    reals = (x.float() / 255 - MEAN[0]) / STD[0]
    assert accuracy(model, reals, y) > 0.9
    quantized = quantize(model, reals, 3, mean=MEAN[0], std=STD[0])
    train(quantized, x, Recipe(steps=10, batch=32), teacher=model)
    assert accuracy(quantized.from_pixels, x, y) > 0.8


def test_training_starts_from_the_codes_that_the_model_has(teacher):
    quantized = quantized_of(teacher)
    conv = next(m for m in quantized.modules() if hasattr(m, "indices"))
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(-3, 4, conv.indices().shape, generator=generator).to(torch.int8)
    conv.set_codes(codes, conv.weight_exponent)
    assert torch.equal(conv.indices(), codes)
    train(quantized, data(), recipe(steps=1, rate=1e-12, epochs=1), teacher=teacher)
    assert torch.equal(conv.indices(), codes)
    values = pow2.values(codes, conv.weight_exponent, 3)
    torch.testing.assert_close(conv.folded()[0], values, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd", "rate": 0.05, "weight_decay": 1e-4},
        {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "constant"},
        {"schedule": "halving", "half_life": 8, "clip": 1.0},
        {"precision": "bf16", "ghost_batch": 8},
        {"ema": 0.9, "channels_last": False, "label_smoothing": 0.1},
        {"ghost_batch": 8, "freeze_statistics_at": 0.5},
    ],
    ids=str,
)
def test_every_way_to_train_learns_and_is_a_function_of_its_seed(changes):
    models = [network(), network(), network()]
    found = data()
    for model, seed in zip(models, (0, 0, 1), strict=True):
        plan = recipe(epochs=8, seed=seed, **changes)
        assert train(model, found, plan, mean=MEAN, std=STD).test_accuracy > 70
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


@pytest.mark.parametrize(
    "changes",
    [
        {"kl": 0.5, "reverse_kl": 0.5, "temperature": 4.0},
        {"kl": 0.0, "labels": 1.0},
        {"learn_exponents": True, "exponent_rate": 10.0},
        {"freeze_statistics_at": 0.7, "ghost_batch": 8},
        {"ema": 0.95, "precision": "bf16"},
    ],
    ids=str,
)
def test_every_way_to_train_on_the_grid_learns(teacher, changes):
    quantized = quantized_of(teacher, bits=2)
    plan = recipe(epochs=6, rate=3e-3, **changes)
    assert train(quantized, data(), plan, teacher=teacher).test_accuracy > 70


def test_augmentation_is_a_function_of_the_step(teacher):
    seen = []

    def brighter(x, generator):
        assert x.dtype == torch.uint8
        seen.append(int(torch.randint(1 << 30, (), generator=generator)))
        return x

    for _ in range(2):
        train(quantized_of(teacher), data(), recipe(epochs=1), teacher=teacher, augment=brighter)
    one, other = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    assert one == other
    # Before the first step batches are looked at too, and have the same images.
    assert one[-6:] == list(dict.fromkeys(one))[:6]
    assert len(set(one[-6:])) == 6


def test_the_users_random_numbers_are_left_alone(teacher):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    model = nn.Sequential(nn.Dropout(0.3), nn.Flatten(), nn.Linear(36, 3))
    torch.manual_seed(5)
    train(model, data(), recipe(epochs=1), mean=MEAN, std=STD)
    assert torch.equal(torch.rand(3), wanted)


def test_losses_are_looked_at_now_and_then_whether_or_not_the_run_is_saved(tmp_path):
    lines, plan = tmp_path / "metrics.jsonl", recipe(epochs=4)
    train(network(), data(), plan, metrics=lines, mean=MEAN, std=STD, save_seconds=0.0)
    assert len(lines.read_text().splitlines()) == 5  # each epoch, and step 20


def test_frozen_statistics_stay_and_others_move():
    kept, moved = network(), network()
    train(kept, data(), recipe(epochs=1, freeze_statistics_at=0.0), mean=MEAN, std=STD)
    train(moved, data(), recipe(epochs=1), mean=MEAN, std=STD)
    assert torch.equal(kept[1].running_mean, torch.zeros(8))
    assert not torch.equal(moved[1].running_mean, torch.zeros(8))


def test_reals_train_as_pixels_do():
    x, y = images()
    on_pixels, on_reals = network(), network()
    train(on_pixels, (x, y), recipe(epochs=1), mean=MEAN, std=STD)
    table = ((torch.arange(256, dtype=torch.float64) / 255 - 0.5) / 0.25).float()
    train(on_reals, (table[x.long()], y), recipe(epochs=1))
    assert same(on_pixels, on_reals)


def test_an_interrupted_run_leaves_the_model_as_it_was(teacher):
    def stop(step, _steps):
        if step == 3:
            raise KeyboardInterrupt

    for model in (network(), quantized_of(teacher)):
        before = copy.deepcopy(model)
        with pytest.raises(KeyboardInterrupt):
            train(model, data(), recipe(), progress=stop, mean=MEAN, std=STD)
        assert same(model, before)
        assert [m.training for m in model.modules()] == [m.training for m in before.modules()]


def test_event_files_are_written_where_they_are_wanted(tmp_path):
    train(network(), data(), recipe(epochs=1), tensorboard=tmp_path / "tb", mean=MEAN, std=STD)
    assert [path.name.startswith("events.") for path in (tmp_path / "tb").iterdir()] == [True]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_gpu_trains_and_resumes(teacher, tmp_path, precision):
    def stop(step, _steps):
        if step == 8:
            raise KeyboardInterrupt

    plan, path = recipe(rate=3e-3, precision=precision, ema=0.9), tmp_path / "run"
    kwargs = {"teacher": teacher, "checkpoint": path, "device": "cuda", "save_seconds": 0.0}
    quantized = quantized_of(teacher, bits=2)
    with pytest.raises(KeyboardInterrupt):
        train(quantized, data(), plan, progress=stop, **kwargs)
    assert train(quantized, data(), plan, **kwargs).test_accuracy > 70
    assert {parameter.device.type for parameter in quantized.parameters()} == {"cpu"}
