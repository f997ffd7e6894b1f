import copy
import signal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from qnn.errors import ModelError
from qnn.interrupt import Interrupted
from qnn.nn.training import Recipe, train
from qnn.quant.estimators import ESTIMATORS
from tests.nearest import quantize

MEAN, STD = (0.5,), (0.25,)
STEPS = 12
METHODS = [name for name in ESTIMATORS if name != "given"]


class Stopped(Exception):
    pass


def data():
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (64, 1, 4, 4), generator=generator).to(torch.uint8)
    return x, torch.randint(3, (64,), generator=generator)


def network(width=4):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(width * 16, 3),
        )


def quantized(bits=3, terms=1, width=4):
    return quantize(network(width), data()[0], bits, terms=terms, mean=MEAN, std=STD)


def flip(x, generator):
    mirrored = torch.randint(2, (len(x), 1, 1, 1), generator=generator).bool()
    return torch.where(mirrored, x.flip(3), x)


def run(model, recipe, path=None, stop=None, every_step=True, found=None, augment=flip, mean=MEAN):
    def progress(step, _steps):
        if step == stop:
            raise Stopped

    return train(
        model,
        found or data(),
        recipe,
        teacher=network() if hasattr(model, "plan") else None,
        checkpoint=path,
        progress=progress,
        augment=augment,
        mean=mean,
        std=STD,
        save_seconds=0.0 if every_step else 60.0,
    )


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return all(torch.equal(one[name], other[name]) for name in one)


def stopped_and_resumed(make, recipe, path, stops, every_step=True):
    model = make()
    for stop in stops:
        with pytest.raises(Stopped):
            run(model, recipe, path, stop, every_step)
    run(model, recipe, path)
    return model


@pytest.mark.parametrize("method", METHODS)
def test_a_run_on_the_grid_ends_in_the_same_bits(method, tmp_path):
    recipe = Recipe(steps=STEPS, batch=16, rate=1e-2, method=method, ema=0.9)
    whole = quantized()
    run(whole, recipe)
    stop = sum(map(ord, method)) % (STEPS - 1) + 1
    path = tmp_path / "run.safetensors"
    assert same(stopped_and_resumed(quantized, recipe, path, [stop]), whole)


@settings(max_examples=12)
@given(
    stops=st.lists(st.integers(1, STEPS - 1), min_size=1, max_size=3, unique=True).map(sorted),
    every_step=st.booleans(),
    optimizer=st.sampled_from(("adam", "adamw", "sgd")),
    ema=st.sampled_from((None, 0.9)),
    ghost_batch=st.sampled_from((None, 8)),
    precision=st.sampled_from(("fp32", "bf16")),
    on_grid=st.booleans(),
)
def test_a_run_that_stops_anywhere_ends_in_the_same_bits(
    tmp_path_factory, stops, every_step, optimizer, ema, ghost_batch, precision, on_grid
):
    recipe = Recipe(
        steps=STEPS,
        batch=16,
        optimizer=optimizer,
        ema=ema,
        ghost_batch=ghost_batch,
        precision=precision,
        freeze_statistics_at=0.6,
        learn_exponents=on_grid,
        clip=1.0,
    )
    make = quantized if on_grid else network
    whole = make()
    run(whole, recipe)
    path = tmp_path_factory.mktemp("run") / "run.safetensors"
    assert same(stopped_and_resumed(make, recipe, path, stops, every_step), whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_run_that_goes_on_to_the_same_bits(number, tmp_path):
    recipe, path = Recipe(steps=STEPS, batch=16, ema=0.9), tmp_path / "run.safetensors"
    whole, model = quantized(), quantized()
    run(whole, recipe)
    given = {"teacher": network(), "checkpoint": path, "augment": flip}
    with pytest.raises(Interrupted) as caught:
        train(
            model,
            data(),
            recipe,
            **given,
            progress=lambda step, _: step == 5 and signal.raise_signal(number),
        )
    assert str(caught.value) == f"stopped after 6 of 12 steps, which {path} has"
    assert same(model, quantized())
    train(model, data(), recipe, **given)
    assert same(model, whole)


def test_a_run_that_is_done_gives_its_model_again(tmp_path):
    recipe, path = Recipe(steps=4, batch=16), tmp_path / "run.safetensors"
    first, second = network(), network()
    run(first, recipe, path)
    report = run(second, recipe, path)
    assert same(first, second)
    assert (report.steps, report.loss) == (4, None)


def test_metrics_of_steps_that_are_done_again_are_there_once(tmp_path):
    recipe = Recipe(steps=8, batch=16)
    path, lines = tmp_path / "run.safetensors", tmp_path / "metrics.jsonl"
    kwargs = {"checkpoint": path, "metrics": lines, "mean": MEAN, "std": STD}

    def stop(step, _steps):
        if step == 6:
            raise Stopped

    with pytest.raises(Stopped):
        train(network(), data(), recipe, progress=stop, **kwargs)
    whole = lines.read_text()
    assert whole.startswith('{"step": 4, ')
    later = '{"step": 5, "epoch": 1}\n{"step": 6, "ep'  # and one that was cut short
    lines.write_text(whole + later)
    train(network(), data(), recipe, **kwargs)
    assert [line.split(",")[0] for line in lines.read_text().splitlines()] == [
        '{"step": 4',
        '{"step": 8',
    ]


def refusal(make, recipe, path, **kwargs):
    model, before = make(), path.read_bytes()
    kept = copy.deepcopy(model)
    with pytest.raises(ModelError) as error:
        run(model, recipe, path, **kwargs)
    assert path.read_bytes() == before
    assert same(model, kept)
    return str(error.value).removeprefix(f"checkpoint {path} ")


@pytest.fixture(scope="module")
def on_grid(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "grid.safetensors"
    run(quantized(), Recipe(steps=4, batch=16), path)
    return path


RECIPE = Recipe(steps=4, batch=16)
END = "; name another file, or remove it"


@pytest.mark.parametrize(
    ("make", "recipe", "text"),
    [
        (network, RECIPE, "is of another model"),
        (lambda: quantized(width=5), RECIPE, "is of another model"),
        (
            lambda: quantized(4),
            RECIPE,
            "is of another grid: layer '0' has weight_bits 3, not 4",
        ),
        (
            lambda: quantized(terms=2),
            RECIPE,
            "is of another grid: layer '0' has terms 1, not 2",
        ),
        (
            quantized,
            Recipe(steps=4, batch=16, rate=0.1),
            "is of another recipe: its rate is 0.0003, not 0.1",
        ),
        (
            quantized,
            Recipe(steps=4, batch=16, method="lsq"),
            "is of another recipe: its method is clipped_straight_through, not lsq",
        ),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(on_grid, make, recipe, text):
    assert refusal(make, recipe, on_grid) == text + END


def test_other_weights_data_or_augmentation_are_refused(on_grid):
    def moved():
        model = quantized()
        with torch.no_grad():
            next(model.parameters()).add_(1e-3)
        return model

    x, y = data()
    other = x.clone()
    other[3] = 0
    assert refusal(moved, RECIPE, on_grid) == "starts from other weights of this model" + END
    assert (
        refusal(quantized, RECIPE, on_grid, found=(other, y)) == "is of other training data" + END
    )
    assert refusal(quantized, RECIPE, on_grid, augment=None) == "is of another augmentation" + END


def test_another_mean_is_another_run(tmp_path):
    path = tmp_path / "run.safetensors"
    run(network(), RECIPE, path)
    assert refusal(network, RECIPE, path, mean=(0.4,)) == "is of another mean or std" + END


def test_another_teacher_is_refused(on_grid):
    with pytest.raises(ModelError) as error:
        train(quantized(), data(), RECIPE, checkpoint=on_grid, augment=flip)
    assert str(error.value) == f"checkpoint {on_grid} is of another teacher{END}"


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    path.write_bytes(b"not a checkpoint")
    assert refusal(network, RECIPE, path).startswith("cannot be read: Error while deserializing")
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, path)
    assert refusal(network, RECIPE, path) == "is no training checkpoint of this qnn" + END


def test_a_checkpoint_that_cannot_be_written_is_one_line(tmp_path):
    path = tmp_path / "missing" / "run.safetensors"
    with pytest.raises(ModelError) as error:
        run(network(), RECIPE, path)
    assert str(error.value) == (
        f"checkpoint {path} needs a writable folder with room, but got 'No such file or "
        f"directory'; choose another path"
    )
