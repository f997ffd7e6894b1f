from contextlib import contextmanager

import pytest

from qnn.bench import accuracy, results
from qnn.bench.accuracy import carry_out, carry_out_on, work_folder
from qnn.bench.images import image_task
from qnn.bench.methods import definition
from qnn.bench.table_run import Rounding, TableRun, Training
from qnn.errors import ModelError
from qnn.farm.done import Done
from qnn.farm.farm import Farm

STEPS = (("steps", 8), ("batch", 32))
ROUNDED = TableRun(
    group="Digits",
    model="digits_cnn",
    how=Rounding(method="discquant", samples=64, options=STEPS),
    weight_bits=2,
)
TRAINED = TableRun(
    group="Digits",
    model="digits_cnn",
    how=Training(method="reconstructed", epochs=2, options=(("batch", 256),)),
    weight_bits=2,
)


@pytest.fixture(scope="module")
def digits_task():
    return image_task("digits_cnn", None)


@pytest.fixture(autouse=True)
def one_task(monkeypatch, digits_task):
    """The float model is trained once for all tests here."""
    monkeypatch.setattr(accuracy, "image_task", lambda name, folder: digits_task)


@contextmanager
def silent(_text):
    yield lambda _done, _total: None


def interrupt_at(step):
    """A progress bar that the user interrupts."""

    @contextmanager
    def bar(_text):
        def report(done, _total):
            if done >= step:
                raise KeyboardInterrupt

        yield report

    return bar


def measured(run, out, bar=silent):
    ((_, result, now),) = carry_out([run], out, None, bar)
    return result, now


def test_a_result_is_measured_once_and_then_known(tmp_path):
    out = tmp_path / "results.jsonl"
    first, now = measured(ROUNDED, out)
    assert now
    assert measured(ROUNDED, out) == (first, False)
    assert results.read(out) == [first]
    assert list(tmp_path.iterdir()) == [out]
    assert first.test_images == 360
    assert first.definition == definition(ROUNDED)
    assert sum(first.codes_before) == sum(first.codes_after) > 0
    assert first.codes_before != first.codes_after


def test_steps_of_a_method_that_goes_by_layer_are_those_of_all_layers(tmp_path, digits_task):
    how = Rounding(method="adaround", samples=64, options=(("steps", 2), ("samples", 64)))
    run = TableRun(group="Digits", model="digits_cnn", how=how, weight_bits=3)
    result, _ = measured(run, tmp_path / "results.jsonl")
    layers = [p for p in digits_task.model.parameters() if p.dim() > 1]
    assert result.steps == 2 * len(layers)


def test_biases_take_back_the_shift_of_means_where_the_run_says_so(tmp_path):
    accuracies = []
    for correct in (False, True):
        how = Rounding(method="nearest", samples=64, bias_correction=correct)
        run = TableRun(group="Digits", model="digits_cnn", how=how, weight_bits=2)
        accuracies.append(measured(run, tmp_path / "results.jsonl")[0].test_accuracy)
    assert accuracies[1] > accuracies[0] + 10


def test_a_budget_in_steps_is_the_recipes_and_in_the_name():
    how = Training(method="lsq", steps=7)
    run = TableRun(group="", model="resnet20", how=how, weight_bits=3)
    assert definition(run)["settings"]["steps"] == 7
    assert run.name == "lsq-w3a8-resnet20-7steps"


def test_another_definition_of_the_same_name_is_measured_again(tmp_path):
    out = tmp_path / "results.jsonl"
    first, _ = measured(ROUNDED, out)
    how = Rounding(method="discquant", samples=64, options=(("steps", 4), ("batch", 32)))
    other = TableRun(group="Digits", model="digits_cnn", how=how, weight_bits=2)
    assert other.name == ROUNDED.name
    second, now = measured(other, out)
    assert now
    assert results.read(out) == [first, second]
    assert measured(other, out) == (second, False)


@pytest.mark.parametrize(
    ("run", "goes_on_at"), [(ROUNDED, 1), (TRAINED, 6)], ids=["rounded", "trained"]
)
def test_an_interrupted_run_goes_on_and_ends_the_same(tmp_path, run, goes_on_at):
    whole, _ = measured(run, tmp_path / "whole.jsonl")
    out = tmp_path / "results.jsonl"
    with pytest.raises(KeyboardInterrupt):
        measured(run, out, interrupt_at(7))
    assert not out.exists()
    place = work_folder(out, run, definition(run))
    assert (place / "seconds.json").exists()
    steps = []

    @contextmanager
    def bar(_text):
        yield lambda done, _total: steps.append(done)

    resumed, now = measured(run, out, bar)
    assert now
    assert (
        steps[0] == goes_on_at
    )  # from the method's last checkpoint: of a whole epoch, or none yet
    assert not place.exists()
    for name in ("test_accuracy", "codes_before", "codes_after", "steps", "definition"):
        assert getattr(resumed, name) == getattr(whole, name)


def nearest(bits):
    how = Rounding(method="nearest", samples=64)
    return TableRun(group="Digits", model="digits_cnn", how=how, weight_bits=bits)


@pytest.mark.processes
def test_workers_measure_the_same_rows_into_the_same_file(tmp_path):
    out, runs = tmp_path / "results.jsonl", [nearest(bits) for bits in (2, 3, 4, 5)]
    known, _ = measured(runs[1], out)
    told = []
    with Farm(2) as farm:
        found = list(carry_out_on(farm, runs, out, None, lambda *at: told.append(at)))
    assert (found[0][0].name, found[0][2]) == (runs[1].name, False)
    assert {run.name: now for run, _, now in found} == {
        run.name: run is not runs[1] for run in runs
    }
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert list(tmp_path.iterdir()) == [out]
    assert results.read(out) == [known, *(result for _, result, now in found if now)]
    for run, result, _ in found:
        alone, _ = measured(run, tmp_path / "alone.jsonl")
        for name in ("test_accuracy", "float_accuracy", "codes_before", "codes_after"):
            assert getattr(result, name) == getattr(alone, name)
    # Processes and this one alike: nothing is measured twice.
    assert [now for _, _, now in carry_out(runs, out, None, silent)] == [False] * 4


class Failing:
    """Stands for a farm that loses one of the runs."""

    def __init__(self, number):
        self.number = number

    def run(self, function, items):
        for index, item in enumerate(items):
            lost = "its worker died 3 times: killed" if index == self.number else None
            yield Done(index, item, None if lost else function(item), lost, 1, 0.0)


def test_a_run_that_failed_is_told_when_all_others_are_on_disk(tmp_path):
    out, runs = tmp_path / "results.jsonl", [nearest(bits) for bits in (2, 3, 4)]
    found = []
    with pytest.raises(ModelError) as error:
        found.extend(carry_out_on(Failing(1), runs, out, None, lambda *_: None))
    assert str(error.value) == (
        f"bench accuracy: 1 of 3 runs failed; {runs[1].name}: its worker died 3 times: killed"
    )
    assert [each.name for each in results.read(out)] == [runs[0].name, runs[2].name]


def test_a_run_that_needs_data_is_refused_without_it(tmp_path, monkeypatch):
    monkeypatch.undo()
    run = TableRun(group="", model="resnet20", how=ROUNDED.how, weight_bits=3)
    with pytest.raises(ModelError) as caught:
        measured(run, tmp_path / "results.jsonl")
    assert str(caught.value) == (
        "bench accuracy needs --data with the folder of data and weights for resnet20, but got "
        "none; give it, or use --quick"
    )
