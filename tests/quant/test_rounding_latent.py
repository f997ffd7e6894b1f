import re
import signal
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.errors import ModelError
from qnn.quant import pow2
from qnn.quant.rounding import Checkpoint, Latent, Rounded
from qnn.quant.rounding.distillation import Measure, run_distance
from qnn.quant.rounding.latent import _Learning, latent
from tests.quant.test_rounding_discquant import (
    Interrupted,
    interrupt_at,
    lesson,
    loss,
    problem,
    same,
)

SHORT = Latent(steps=12, batch=16, rate=0.05)


def nearest_of(case):
    return Rounded({name: layer.nearest() for name, layer in case.layers.items()})


@settings(max_examples=10)
@given(st.integers(0, 99), st.integers(2, 5), st.integers(1, 2))
def test_every_weight_is_on_its_grid(seed, bits, terms):
    case = problem(seed, bits=bits, terms=terms)
    found = latent(case, replace(SHORT, steps=3))
    for name, layer in case.layers.items():
        values = layer.values(found.indices[name])
        assert torch.equal(layer.values(layer.indices(values)), values)
        assert found.indices[name].dtype == torch.int8


def test_it_keeps_answers_better_than_nearest_and_beside_biases_still_better():
    options = Latent(steps=150, batch=64, rate=0.005, tuned_rate=0)
    nearest = alone = tuned = 0.0
    for seed in range(3):
        case = problem(seed, bits=2, count=512)
        nearest += loss(case, nearest_of(case))
        found = latent(case, options)
        assert found.tuned == {}
        alone += loss(case, found)
        found = latent(case, replace(options, tuned_rate=0.001))
        assert found.tuned.keys() == {"0.bias", "2.bias"}
        tuned += loss(case, found)
    assert tuned < alone < 0.7 * nearest


def test_rows_of_their_own_terms_keep_them():
    case = problem()
    terms = {"0.weight": (1, 2, 3) * 4, "2.weight": (2, 1, 1, 1, 3)}
    layers = {name: replace(layer, terms=terms[name]) for name, layer in case.layers.items()}
    found = latent(replace(case, layers=layers), SHORT)
    for name, rows in terms.items():
        for row, count in enumerate(rows):
            assert not found.indices[name][count:, row].any()


def test_rows_of_several_terms_learn_at_their_own_rate():
    case = problem()
    layers = {
        n: replace(x, terms=(1, 2) * (len(x.w) // 2) + (1,) * (len(x.w) % 2))
        for n, x in case.layers.items()
    }
    case = replace(case, layers=layers)
    moved = []
    for pace in (1.0, 8.0):
        run = _Learning(case, replace(SHORT, terms_rate=pace))
        before = run._weights(run.w.value.clone())
        run.advance()
        after = run._weights(run.w.value)
        moved.append({n: (after[n] - w).flatten(1) for n, w in before.items()})
    for name, slow in moved[0].items():
        fast = moved[1][name]
        torch.testing.assert_close(fast[0::2], slow[0::2])
        # The farthest move: where a gradient is next to nothing, Adam's epsilon counts.
        ratio = fast[1::2].abs().max() / slow[1::2].abs().max()
        assert float(ratio) == pytest.approx(8, rel=1e-3)


def test_a_weight_may_pass_any_number_of_values():
    case = problem()
    found = latent(case, replace(SHORT, steps=60, rate=0.1))
    layer = case.layers["0.weight"]
    down, up = pow2.neighbours(layer.w, layer.exponent, layer.bits, layer.terms)
    got = layer.values(found.indices["0.weight"])
    assert bool(((got < down) | (got > up)).any())


def test_the_first_step_is_one_of_adam_through_the_rounding():
    case = problem()
    near = {n: x.values(x.nearest()).float().requires_grad_() for n, x in case.layers.items()}
    run_distance(case, near, lesson(case), Measure()).backward()
    options = Latent(steps=1, batch=64, rate=0.3, warm_up=0, tuned_rate=0)
    found = latent(case, options)
    for name, layer in case.layers.items():
        unit = pow2.exp2(layer.exponent)[:, None]
        slope = near[name].grad * (layer.w.abs() <= pow2.reach(layer.w, layer.exponent, 3))
        # The size of Adam's first step is its rate, in units of 2**exponent.
        moved = layer.w - 0.3 * slope.sign() * unit
        clear = (slope * unit).abs() > 1e-5
        wanted, got = layer.indices(moved), found.indices[name]
        assert clear.double().mean() > 0.8
        assert torch.equal(wanted[:, clear], got[:, clear])


def test_it_begins_at_the_nearest_values():
    case = problem()
    found = latent(case, Latent(steps=1, rate=1e-9, tuned_rate=0))
    assert same(found, nearest_of(case))


def test_an_interrupted_run_resumes_to_the_same_bits(tmp_path):
    case, kept = problem(), Checkpoint(tmp_path / "run.safetensors", every=5)
    whole = latent(case, SHORT)
    with pytest.raises(Interrupted):
        latent(case, SHORT, interrupt_at(7), kept)
    seen = []
    assert same(latent(case, SHORT, lambda *told: seen.append(told), kept), whole)
    assert seen[0] == (6, 12, 1.0)


def test_a_signal_loses_no_step(tmp_path):
    case, kept = problem(), Checkpoint(tmp_path / "run.safetensors")
    whole = latent(case, SHORT)

    def stop(done, _total, _share):
        if done == 4:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        latent(case, SHORT, stop, kept)
    assert str(caught.value) == f"stopped after 5 of 12 steps, which {kept.path} has"
    assert same(latent(case, SHORT, None, kept), whole)


def test_a_checkpoint_of_other_options_is_refused(tmp_path):
    case, kept = problem(), Checkpoint(tmp_path / "run.safetensors")
    latent(case, SHORT, None, kept)
    with pytest.raises(ModelError) as error:
        latent(case, replace(SHORT, rate=0.1), None, kept)
    assert str(error.value) == (
        f"{kept.path}: a rounding checkpoint of other options; choose another path, or remove it "
        f"to start again"
    )


def test_answers_that_are_not_finite_are_refused():
    case = problem()
    case.data[:] = float("inf")
    with pytest.raises(ModelError) as error:
        latent(case, SHORT)
    assert str(error.value) == (
        "latent needs finite answers, but the loss of step 0 is NaN or infinite; check the data "
        "and the float model's outputs"
    )


def test_no_data_are_refused():
    with pytest.raises(ModelError) as error:
        latent(replace(problem(), data=None), SHORT)
    assert str(error.value) == (
        "rounding needs data to compare answers on, not an empty set; give some thousand samples"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"steps": 0}, "latent needs steps over 0, not 0"),
        ({"rate": -0.1}, "latent needs rate over 0, not -0.1"),
        ({"tuned_rate": -1}, "latent needs tuned_rate of at least 0, not -1"),
        ({"precision": "fp8"}, "latent needs precision float32 or bf16, not 'fp8'"),
    ],
)
def test_options_of_no_use_are_refused(options, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Latent(**options)
