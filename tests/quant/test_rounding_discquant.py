import copy
import importlib
import re
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from qnn.errors import ModelError
from qnn.quant import pow2
from qnn.quant.rounding import Checkpoint, DiscQuant, LayerWeights, Problem
from qnn.quant.rounding.adaround import AdaRound, adaround
from qnn.quant.rounding.discquant import discquant
from qnn.quant.rounding.distillation import Measure, divergence, module_teacher, run_distance
from qnn.quant.rounding.gptq import Gptq, gptq
from qnn.quant.rounding.interpolation import Interpolation
from qnn.quant.search_exponent import search_exponent

# The search alone, from the weights as they are.
PAPER = {
    "batch": 128,
    "rate": 0.1,
    "rho": 200.0,
    "start": "original",
    "inner_weight": 0.0,
    "tune_bias": False,
    "bias_steps": 0,
}


def paper(**options):
    return DiscQuant(**PAPER | options)


SHORT = paper(steps=20, batch=16)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 5)).eval()


def problem(seed=0, *, bits=3, terms=1, count=64, **more):
    model = network(seed)
    layers = {
        name: LayerWeights(p.detach(), search_exponent(p, bits, terms), bits, terms)
        for name, p in model.named_parameters()
        if p.dim() == 2
    }
    data = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed + 1))
    return Problem(model, layers, module_teacher(model), data, tuned=("0.bias", "2.bias"), **more)


def lesson(problem):
    return problem.data, problem.teacher(problem.inputs, ())


def loss(problem, found, kind="kl"):
    given = {n: problem.layers[n].values(i).float() for n, i in found.indices.items()}
    with torch.no_grad():
        return float(run_distance(problem, given | found.tuned, lesson(problem), Measure(kind)))


def same(one, other):
    return all(torch.equal(one.indices[n], other.indices[n]) for n in one.indices) and all(
        torch.equal(one.tuned[n], other.tuned[n]) for n in one.tuned
    )


@settings(max_examples=12)
@given(
    st.integers(0, 99),
    st.integers(2, 5),
    st.integers(1, 2),
    st.sampled_from(["original", "uniform", "nearest"]),
    st.sampled_from([0.0, 1.0, 2.0]),
)
def test_each_weight_becomes_one_of_its_neighbours(seed, bits, terms, start, gap_power):
    case = problem(seed, bits=bits, terms=terms)
    options = paper(steps=3, batch=8, start=start, gap_power=gap_power)
    found = discquant(case, options)
    for name, layer in case.layers.items():
        down, up = pow2.neighbours(layer.w, layer.exponent, bits, terms)
        got = layer.values(found.indices[name])
        assert bool(((got == down) | (got == up)).all())


def test_it_keeps_answers_better_than_nearest():
    case = problem(count=512)
    nearest = discquant(case, paper(steps=1, start="nearest", rate=1e-9))
    found = discquant(case, paper(steps=100, batch=64))
    tuned = discquant(case, paper(steps=100, batch=64, tune_bias=True, bias_steps=50))
    assert loss(case, found) < 0.8 * loss(case, nearest)
    assert loss(case, tuned) < 0.9 * loss(case, found)
    assert tuned.tuned.keys() == {"0.bias", "2.bias"}
    assert found.tuned == {}


STARTED = {"gptq": (gptq, Gptq()), "adaround": (adaround, AdaRound(steps=30))}


@pytest.mark.parametrize("start", STARTED)
def test_it_goes_on_from_what_another_method_gives(start):
    case = problem(count=256)
    method, settings = STARTED[start]
    first = method(case, settings)
    kept = discquant(case, paper(steps=1, rate=1e-9, start=start, start_steps=30))
    assert same(kept, first)
    found = discquant(case, paper(steps=60, start=start, start_steps=30))
    assert loss(case, found) < loss(case, first)


def test_a_start_by_another_method_is_not_made_again_on_resumption(tmp_path, monkeypatch):
    case, kept = problem(), Checkpoint(tmp_path / "run.safetensors", every=1)
    options = replace(SHORT, start="adaround", start_steps=3)
    whole = discquant(case, options)

    def interrupt(done, total, _share):
        if (done, total) == (7, SHORT.steps):
            raise Interrupted

    with pytest.raises(Interrupted):
        discquant(case, options, interrupt, kept)
    module = importlib.import_module("qnn.quant.rounding.discquant_start")
    monkeypatch.setattr(module, "adaround", None)
    assert same(discquant(case, options, None, kept), whole)


def test_weights_on_the_grid_stay_and_end_the_search_at_once():
    case = problem()
    layers = {
        name: replace(layer, w=layer.values(layer.nearest())) for name, layer in case.layers.items()
    }
    seen = []
    found = discquant(replace(case, layers=layers), SHORT, lambda *told: seen.append(told))
    for name, layer in layers.items():
        assert torch.equal(found.indices[name], layer.nearest())
    assert seen == []


def test_weights_beyond_the_top_level_are_stuck_at_it():
    case = problem()
    layers = {
        name: replace(layer, exponent=layer.exponent - 9) for name, layer in case.layers.items()
    }
    found = discquant(replace(case, layers=layers), SHORT)
    for name, layer in layers.items():
        assert torch.equal(found.indices[name], layer.nearest())


def test_progress_counts_steps_and_the_share_that_is_rounded():
    seen = []
    discquant(problem(), SHORT, lambda *told: seen.append(told))
    assert [done for done, _, _ in seen] == list(range(1, len(seen) + 1))
    assert all(total >= done for done, total, _ in seen)
    assert 0 < seen[0][2] < seen[-1][2] == 1.0


def test_it_ends_when_every_weight_is_rounded():
    seen = []
    options = replace(SHORT, steps=100, push=4.0, clip=0.5)
    discquant(problem(), options, lambda *told: seen.append(told))
    assert len(seen) < 100
    assert seen[-1] == (len(seen), len(seen), 1.0)


def test_later_stages_round_what_the_first_one_left():
    case, before_the_last_step = problem(count=256), {}
    for stages in (1, 4):
        shares = []
        options = paper(steps=80, batch=32, stages=stages, schedule="constant", rate=0.05)
        discquant(case, options, lambda _done, _total, share, to=shares: to.append(share))
        before_the_last_step[stages] = ([0.0, *shares])[-2]
    assert before_the_last_step[1] < before_the_last_step[4]


def test_the_same_options_give_the_same_result_and_another_seed_another():
    case = problem()
    first = discquant(case, SHORT)
    assert same(first, discquant(case, SHORT))
    drawn, other = (discquant(case, replace(SHORT, seed=n, start="uniform")) for n in (0, 1))
    assert not same(drawn, other)


def test_answers_that_are_kept_are_those_that_are_asked_for():
    case = problem(count=40)
    asked = []

    def teacher(x, inner):
        asked.append(len(x[0]))
        return case.teacher(x, inner)

    counted = replace(case, teacher=teacher)
    kept = discquant(counted, replace(SHORT, rate=1e-3))
    assert asked == [40]
    prepared = replace(counted, prepare=lambda drawn, _: drawn)
    assert same(discquant(prepared, replace(SHORT, rate=1e-3)), kept)
    assert asked[1:] == [16] * 20


def test_the_model_is_left_as_it_was():
    case = problem()
    before = copy.deepcopy(case.model.state_dict())
    discquant(case, replace(SHORT, tune_bias=True))
    assert all(torch.equal(before[name], value) for name, value in case.model.state_dict().items())


class Interrupted(Exception):
    pass


def interrupt_at(step):
    def progress(done, _total, _share):
        if done == step:
            raise Interrupted

    return progress


@settings(max_examples=6)
@given(step=st.integers(1, 29), every=st.integers(1, 9), seed=st.integers(0, 9))
def test_an_interrupted_search_resumes_to_the_same_bits(tmp_path_factory, step, every, seed):
    case = problem(seed)
    options = replace(SHORT, seed=seed, tune_bias=True, bias_steps=10, warm_up=5, stages=3)
    kept = Checkpoint(tmp_path_factory.mktemp("run") / "run.safetensors", every)
    whole = discquant(case, options)
    with pytest.raises(Interrupted):
        discquant(case, options, interrupt_at(step), kept)
    seen = []
    resumed = discquant(case, options, lambda *told: seen.append(told[0]), kept)
    assert same(resumed, whole)
    assert seen[0] == step // every * every + 1
    assert same(discquant(case, options, None, kept), whole)


def test_a_loss_that_is_not_finite_is_refused():
    case = problem()
    case.data[:] = float("inf")
    with pytest.raises(ModelError) as error:
        discquant(case, SHORT)
    assert str(error.value) == (
        "discquant needs finite answers, but the loss of step 0 is NaN or infinite; check the data "
        "and the float model's outputs"
    )


@pytest.mark.parametrize("data", [None, torch.zeros(0, 6)])
def test_no_data_are_refused(data):
    with pytest.raises(ModelError) as error:
        discquant(replace(problem(), data=data), SHORT)
    assert str(error.value) == (
        "rounding needs data to compare answers on, not an empty set; give some thousand samples"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"steps": 0}, "discquant needs steps over 0, not 0"),
        ({"rate": -0.1}, "discquant needs rate over 0, not -0.1"),
        ({"stages": 0}, "discquant needs stages from 1 to 1000, not 0"),
        ({"push": -1.0}, "discquant needs push from 0 to 100, not -1.0"),
        ({"gap_power": float("inf")}, "discquant needs gap_power from 0 to 100, not inf"),
        ({"betas": (0.9,)}, "discquant needs betas of two numbers from 0 to 1, not (0.9,)"),
        ({"betas": (2, 2)}, "discquant needs betas of two numbers from 0 to 1, not (2, 2)"),
        (
            {"start": "up"},
            "discquant needs start original or uniform or nearest or gptq or adaround, not 'up'",
        ),
        ({"precision": "fp8"}, "discquant needs precision float32 or bf16, not 'fp8'"),
    ],
)
def test_options_of_no_use_are_refused(options, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        DiscQuant(**options)


def test_the_first_step_is_that_of_the_formula():
    case = problem()
    options = paper(steps=1, batch=64, rate=0.1, clip=0.5)
    space = Interpolation.of(case.layers, torch.device("cpu"))
    weights = {n: w.requires_grad_() for n, w in space.weights(space.y).items()}
    run_distance(case, weights, lesson(case), Measure()).backward()
    by_weight = torch.cat([w.grad.flatten() for w in weights.values()])
    layers = case.layers.values()
    errors = [(layer.values(layer.nearest()) - layer.w).square().mean() for layer in layers]
    delta2 = 12 * sum(errors) / len(errors)
    limited = (200 * by_weight * space.gap / delta2).clamp(-0.5, 0.5)
    gradient = 1 - 2 * space.y + limited
    x = (space.y - 0.1 * gradient.sign()).clamp(0, 1)  # the size of Adam's first step is its rate
    clear = gradient.abs() > 1e-3
    expected = space.indices(x)
    found = discquant(case, options)
    clear_by_layer = space.split(clear & space.free)
    for name in case.layers:
        wanted, got = expected[name][:, clear_by_layer[name]], found.indices[name]
        assert torch.equal(wanted, got[:, clear_by_layer[name]])


def test_a_temperature_softens_both_answers():
    wanted, got = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0)).double()
    p, q = (logits.float().div(2.5).softmax(1) for logits in (wanted, got))
    expected = (p * (p / q).log()).sum(1).mean() * 2.5**2
    assert torch.allclose(divergence(wanted, got, 2.5), expected)
