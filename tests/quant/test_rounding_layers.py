import re
import signal
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from qnn.errors import ModelError
from qnn.quant import pow2
from qnn.quant.rounding import AdaRound, Checkpoint, Gptq, LayerWeights, Problem, Rounded
from qnn.quant.rounding.adam import Adam
from qnn.quant.rounding.adaround import _Layer, adaround, rectified, sharpening
from qnn.quant.rounding.discquant import discquant
from qnn.quant.rounding.distillation import module_teacher
from qnn.quant.rounding.gptq import gptq
from qnn.quant.rounding.layer import columns, owners, samples
from qnn.quant.rounding.quadratic import GridRows, damped, largest_first, round_columns
from qnn.quant.rounding.sampling import generator
from qnn.quant.search_exponent import search_exponent
from tests.quant.test_rounding_discquant import (
    Interrupted,
    interrupt_at,
    loss,
    paper,
    problem,
    same,
)

METHODS = [(gptq, Gptq(samples=64, batch=16)), (adaround, AdaRound(steps=30, samples=64, batch=16))]
BOTH = pytest.mark.parametrize(("method", "options"), METHODS, ids=["gptq", "adaround"])


def matrix(seed, *, bits=3, terms=1, outputs=8, inputs=24):
    w = torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(seed)).double()
    return LayerWeights(w, search_exponent(w, bits, terms), bits, terms)


def moments(seed, inputs=24):
    """Of inputs that depend on one another."""
    generator = torch.Generator().manual_seed(seed + 7)
    mixing = torch.randn(inputs, inputs // 3, generator=generator).double()
    return mixing @ mixing.T + 0.05 * torch.eye(inputs).double()


def rounded(layer, second, ordered=True, **options):
    """What GPTQ gives of one matrix, with the damping of its default."""
    rows = GridRows.of(layer.w, layer.exponent, 1, layer.bits, layer.terms)
    held = damped(second[None], Gptq().damping)
    return round_columns(rows, held, largest_first(held) if ordered else None, **options)[0]


def error(layer, values, second):
    off = values - layer.w
    return float((off @ second * off).sum())


@settings(max_examples=15)
@given(st.integers(0, 99), st.integers(2, 5), st.integers(1, 2), st.booleans())
def test_gptq_gives_values_of_the_grid_and_less_error_than_nearest(seed, bits, terms, ordered):
    layer, second = matrix(seed, bits=bits, terms=terms), moments(seed)
    values = rounded(layer, second, ordered)
    assert torch.equal(layer.values(layer.indices(values)), values)
    nearest = layer.values(layer.nearest())
    assert error(layer, values, second) < error(layer, nearest, second)


def test_gptq_of_independent_inputs_is_nearest():
    layer = matrix(1)
    values = rounded(layer, torch.eye(24).double() * 3)
    assert torch.equal(values, layer.values(layer.nearest()))


def test_gptq_rounds_weights_of_inputs_that_are_zero_to_nearest():
    layer, second = matrix(2), moments(2)
    second[5], second[:, 5] = 0, 0
    values = rounded(layer, second)
    assert torch.equal(values[:, 5], layer.values(layer.nearest())[:, 5])


def test_gptq_takes_errors_to_the_columns_that_follow():
    """Algorithm 1 as it stands: one column, then all others by the inverse's first row."""
    layer, second = matrix(3), moments(3)
    damped = second + 0.01 * second.diagonal().mean() * torch.eye(24).double()
    w, expected = layer.w.clone(), torch.empty_like(layer.w)
    for column in range(24):
        inverse = torch.linalg.inv(damped[column:, column:])
        one = replace(layer, w=w[:, column : column + 1])
        expected[:, column] = one.values(one.nearest())[:, 0]
        off = (w[:, column] - expected[:, column]) / inverse[0, 0]
        w[:, column:] -= off[:, None] * inverse[0]
    got = rounded(layer, second, ordered=False)
    assert torch.equal(got, expected)


class Narrow(nn.Module):
    """Two linear layers, of which the second reads what the first gives."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.one, self.two = nn.Linear(12, 8), nn.Linear(8, 10)

    def forward(self, x):
        return self.two(self.one(x).relu())


@pytest.mark.parametrize("seed", range(4))
def test_targets_of_the_float_network_take_back_what_was_lost_before(seed):
    model = Narrow(seed)
    layers = {
        name: LayerWeights(p.detach(), search_exponent(p, 3), 3)
        for name, p in model.named_parameters()
        if p.dim() == 2
    }
    case = Problem(model, layers, module_teacher(model), torch.randn(512, 12))
    options = Gptq(samples=512, batch=128)
    own, toward = (
        gptq(case, replace(options, targets=targets, sweeps=2)) for targets in ("own", "float")
    )
    # Nothing is lost before the first layer.
    assert torch.equal(own.indices["one.weight"], toward.indices["one.weight"])
    assert loss(case, toward, "squared") < loss(case, own, "squared")


@pytest.mark.parametrize("seed", range(3))
def test_sweeps_of_gptq_lose_no_more_than_it_does_alone(seed):
    case = quadratic(seed)
    alone, more = (gptq(case, Gptq(batch=256, damping=1e-6, sweeps=n)) for n in (0, 9))
    assert loss(case, more, "squared") < loss(case, alone, "squared")


def test_gptq_of_many_columns_equals_that_of_one_block():
    layer, second = matrix(4), moments(4)
    whole = rounded(layer, second)
    assert torch.equal(rounded(layer, second, block=5), whole)


def quadratic(seed):
    """One linear layer on inputs that depend on one another; its loss is quadratic."""
    torch.manual_seed(seed)
    model = nn.Linear(24, 8)
    layer = matrix(seed)
    model.weight.data.copy_(layer.w)
    data = torch.randn(256, 8) @ torch.randn(8, 24) + 0.1 * torch.randn(256, 24)
    return Problem(model, {"weight": layer}, module_teacher(model), data)


LEARNT = [
    (gptq, Gptq(batch=256)),
    (adaround, AdaRound(steps=300, batch=64, rate=0.05)),
    (discquant, paper(steps=100, batch=64, loss="squared")),
]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("method", "options"), LEARNT, ids=["gptq", "adaround", "discquant"])
def test_a_quadratic_loss_is_far_below_that_of_nearest(method, options, seed):
    case = quadratic(seed)
    found = method(case, options)
    nearest = Rounded({"weight": case.layers["weight"].nearest()})
    assert loss(case, found, "squared") < 0.6 * loss(case, nearest, "squared")


@BOTH
@pytest.mark.parametrize(("bits", "terms"), [(2, 1), (3, 2), (4, 1)])
def test_values_are_on_the_grid(method, options, bits, terms):
    case = problem(bits=bits, terms=terms)
    found = method(case, options)
    for name, layer in case.layers.items():
        got = layer.values(found.indices[name])
        down, up = pow2.neighbours(layer.w, layer.exponent, bits, terms)
        if method is adaround:
            assert bool(((got == down) | (got == up)).all())
        assert found.indices[name].dtype == torch.int8
        assert found.indices[name].shape == (terms, *layer.w.shape)


@BOTH
def test_weights_on_the_grid_stay(method, options):
    case = problem()
    layers = {
        n: replace(layer, w=layer.values(layer.nearest())) for n, layer in case.layers.items()
    }
    found = method(replace(case, layers=layers), options)
    for name, layer in layers.items():
        assert torch.equal(layer.values(found.indices[name]), layer.w)


@BOTH
def test_an_interrupted_run_resumes_to_the_same_bits(method, options, tmp_path):
    case = problem()
    kept = Checkpoint(tmp_path / "run.safetensors")
    whole = method(case, options)
    with pytest.raises(Interrupted):
        method(case, options, interrupt_at(1), kept)
    seen = []
    assert same(method(case, options, lambda *told: seen.append(told), kept), whole)
    assert seen == [(2, 2, 1.0)]


@pytest.mark.parametrize("start", [False, True], ids=["adaround", "discquant"])
def test_a_signal_inside_a_layer_loses_no_step_of_it(start, tmp_path, monkeypatch):
    method, options = METHODS[1]
    if start:
        method = discquant
        options = paper(steps=5, batch=8, start="adaround", start_steps=30, start_samples=64)
    case, kept = problem(), Checkpoint(tmp_path / "run.safetensors")
    whole, step, made = method(case, options), _Layer._step, []

    def interrupted(layer, v, number, unit):
        step(layer, v, number, unit)
        made.append(number)
        if len(made) == 41:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(_Layer, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        method(case, options, None, kept)
    name = "run.safetensors.start" if start else "run.safetensors"
    assert str(caught.value) == (
        f"stopped after 1 of 2 layers and 11 steps of the next, which {tmp_path / name} has"
    )
    assert same(method(case, options, None, kept), whole)
    assert made == [*range(30), *range(30)]
    assert [path.name for path in tmp_path.iterdir()] == ["run.safetensors"]


def test_gptq_stops_between_batches_with_the_layers_that_are_done(tmp_path):
    method, options = METHODS[0]
    case, kept = problem(), Checkpoint(tmp_path / "run.safetensors")
    whole = method(case, options)
    with pytest.raises(KeyboardInterrupt) as caught:
        method(case, options, lambda *_: signal.raise_signal(signal.SIGTERM), kept)
    assert str(caught.value) == f"stopped after 1 of 2 layers, which {kept.path} has"
    assert same(method(case, options, None, kept), whole)


@BOTH
def test_the_same_options_give_the_same_result(method, options):
    assert same(method(problem(), options), method(problem(), options))


@pytest.mark.parametrize(
    ("count", "batch", "sizes"), [(10, 16, [10]), (40, 16, [16, 16]), (99, 16, [16] * 4)]
)
def test_a_method_sees_no_more_samples_than_it_may(count, batch, sizes):
    drawn = [x for (x,) in samples(problem(count=64), count, batch, 0)]
    assert [len(part) for part in drawn] == sizes
    assert len(torch.cat(drawn).unique(dim=0)) == sum(sizes)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)

    def forward(self, x):
        return self.inner(self.inner(x))


@BOTH
def test_a_layer_that_runs_twice_is_refused(method, options):
    case = problem()
    w = torch.randn(6, 6)
    layers = {"inner.weight": LayerWeights(w, search_exponent(w, 3), 3)}
    with pytest.raises(ModelError) as error:
        method(Problem(Twice(), layers, case.teacher, case.data), options)
    assert str(error.value) == (
        f"{method.__name__} needs layers that run once, but the one of 'inner.weight' runs 2 "
        f"times; leave it out, or choose discquant with "
        "start='original'"
    )


@BOTH
def test_data_that_are_not_finite_are_refused(method, options):
    case = problem()
    case.data[:] = float("nan")
    wanted = {
        gptq: "gptq needs finite inputs, but those of '0.weight' hold NaN or infinity; check the "
        "data",
        adaround: "adaround needs finite results, but those of '0.weight' are NaN or infinite; "
        "check the data",
    }
    with pytest.raises(ModelError) as error:
        method(case, options)
    assert str(error.value) == wanted[method]


@BOTH
def test_no_data_are_refused(method, options):
    with pytest.raises(ModelError) as error:
        method(replace(problem(), data=None), options)
    assert str(error.value) == (
        "rounding needs data to compare answers on, not an empty set; give some thousand samples"
    )


CONVOLUTIONS = [
    nn.Conv2d(4, 6, 3, 2, 1),
    nn.Conv2d(4, 6, (1, 3), padding="same", groups=2, dilation=(1, 2)),
    nn.Conv2d(4, 8, 2, padding="valid", groups=4),
]


@pytest.mark.parametrize("conv", CONVOLUTIONS, ids=str)
def test_columns_are_what_the_sums_read(conv):
    x = torch.randn(2, 4, 6, 7)
    taken = columns(conv, x, "conv.weight", "gptq")
    weight = conv.weight.reshape(conv.groups, -1, taken.shape[2])
    sums = torch.einsum("ngi,goi->ngo", taken, weight).flatten(1) + conv.bias
    result = conv(x)
    wanted = result.movedim(1, -1).flatten(0, 2)
    assert torch.allclose(sums, wanted, atol=1e-5)


def test_a_linear_layer_reads_vectors():
    assert columns(nn.Linear(3, 2), torch.zeros(4, 5, 3), "w", "gptq").shape == (20, 1, 3)


def test_a_layer_of_another_kind_is_refused():
    with pytest.raises(ModelError) as error:
        columns(nn.Conv1d(1, 1, 1), torch.zeros(1, 1, 1), "c.weight", "gptq")
    assert str(error.value) == (
        "gptq needs linear layers and 2-d convolutions that pad with zeros, but 'c.weight' is of a "
        "Conv1d; leave it out, or choose discquant with "
        "start='original'"
    )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Gptq(damping=0), "gptq needs damping over 0, not 0"),
        (lambda: Gptq(seed=-1), "gptq needs seed of at least 0, not -1"),
        (lambda: Gptq(sweeps=-1), "gptq needs sweeps of at least 0, not -1"),
        (lambda: Gptq(targets="up"), "gptq needs targets own or float, not 'up'"),
        (lambda: AdaRound(warm_up=2), "adaround needs warm_up from 0 to 1, not 2"),
        (lambda: AdaRound(rate=0.0), "adaround needs rate over 0, not 0.0"),
        (lambda: AdaRound(beta=(20.0,)), "adaround needs beta as two numbers over 0, not (20.0,)"),
        (lambda: AdaRound(beta=(20, 0)), "adaround needs beta as two numbers over 0, not (20, 0)"),
    ],
)
def test_options_of_no_use_are_refused(make, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make()


def test_the_gradient_of_a_rectified_sigmoid_and_of_what_sharpens_it_is_that_of_autograd():
    v = torch.linspace(-6, 6, 481, requires_grad=True)
    beta, regularizer = 5.0, 0.25
    wanted_h = (1.2 * v.sigmoid() - 0.1).clamp(0, 1)
    loss = regularizer * (1 - (2 * wanted_h - 1).abs().pow(beta)).sum()
    (wanted,) = torch.autograd.grad(loss, v)
    h, slope = rectified(v.detach())
    torch.testing.assert_close(h, wanted_h.detach())
    torch.testing.assert_close(sharpening(h, beta).mul_(regularizer) * slope, wanted)
    # Beyond the ends nothing moves any more.
    assert not slope[[0, -1]].any()
    assert slope[1:-1].count_nonzero() > 100


@pytest.mark.parametrize("step", [0, 15], ids=["warm-up", "sharpened"])
def test_a_step_of_adaround_follows_the_gradient_of_its_formula(step):
    given, options = problem(), AdaRound(steps=30, samples=8, batch=8, regularizer=0.5)
    (owner, *_) = owners(given, "adaround")
    layer = _Layer(given, options, owner, 0)
    weights = {name: each.w for name, each in given.layers.items()}
    layer.listen(weights, weights, samples(given, 8, 8, 0))
    v = Adam.of(torch.linspace(-3, 3, layer.space.y.numel()))
    value = v.value.clone().requires_grad_()
    layer._step(v, step, 2.0)

    space, (operand,) = layer.space, layer.operands
    chosen = torch.randint(8, (8,), generator=generator(0, "layer 0", step))
    h = (1.2 * value.sigmoid() - 0.1).clamp(0, 1)
    weight = (space.down + h * space.gap).view(given.layers[owner.name].w.shape)
    results = F.linear(operand[chosen], weight, owner.module.bias)
    loss = (results - layer.wanted[chosen]).square().mean() / 2.0 * len(weight)
    if step:
        # What is left of the steps behind the warm-up: 0.5 of 0.8 on the way from 20 to 2.
        sharpness = 2 + 18 * (1 - 0.5) / 0.8
        loss = loss + 0.5 * ((1 - (2 * h - 1).abs().pow(sharpness)) * space.free).sum()
    (wanted,) = torch.autograd.grad(loss, value)
    # The first mean of Adam is a tenth of its first gradient.
    torch.testing.assert_close(v.mean * 10, wanted * space.free, rtol=1e-4, atol=1e-5)
