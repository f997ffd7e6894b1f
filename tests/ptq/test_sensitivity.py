import itertools
import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

import qnn
from qnn.errors import ModelError
from qnn.ptq import sensitivity as measured
from qnn.ptq.sensitivity import Budget, Fit, sensitivity
from qnn.quant.term_budget import choose_terms
from tests.nearest import quantize

TERMS = (1, 2, 3, 4)


def message(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


class Small(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6))
        self.two, self.head = nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, classes)

    def forward(self, x):
        x = self.one(x).relu()
        return self.head((x + self.two(x)).relu().mean((2, 3)))


def network(classes=4):
    torch.manual_seed(0)
    return Small(classes), 4 * torch.randn(70, 2, 4, 8)  # whose mean divides by a power of two


def on_grid(model, bits, exponent=0):
    """Weights that one term of so many bits holds exactly, each layer at the same scale."""
    generator = torch.Generator().manual_seed(0)
    most = (1 << (bits - 1)) - 1
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                shape = module.weight.shape
                index = torch.randint(1, most + 1, shape, generator=generator)
                index.flatten(1)[:, 0] = most
                sign = torch.randint(0, 2, shape, generator=generator) * 2 - 1
                module.weight.copy_(sign * 2.0 ** (index - most + exponent))
    return model


def test_layers_that_learn_are_measured_with_every_number_of_terms():
    model, x = network()
    losses = sensitivity(quantize(model, x), x)
    assert list(losses) == ["one.0", "two", "head"]
    assert all(tuple(found) == TERMS for found in losses.values())
    assert all(found[1] > found[3] > 0 for found in losses.values())
    assert all(found[2] > found[4] > 0 for found in losses.values())


def test_large_images_are_measured_in_smaller_parts(monkeypatch):
    model, x = network()
    quantized = quantize(model, x)
    usual, parts, tensors = sensitivity(quantized, x), [], measured._tensors

    def counted(free, images):
        parts.append(len(images[0]))
        return tensors(free, images)

    monkeypatch.setattr(measured, "_tensors", counted)
    monkeypatch.setattr(measured, "VALUES", 1)
    found = sensitivity(quantized, x)
    assert sum(parts) == 70
    assert max(parts) == measured.FEWEST
    for name, each in found.items():
        assert list(each.values()) == pytest.approx(list(usual[name].values()), rel=1e-4)


def test_weights_of_two_bits_are_measured_with_more_terms():
    model, x = network()
    losses = sensitivity(quantize(model, x, weight_bits={"two": 2, "*": 3}), x)
    assert [tuple(found) for found in losses.values()] == [TERMS, tuple(range(1, 8)), TERMS]


def test_weights_that_a_format_holds_lose_nothing():
    model, x = network()
    model.one = model.one[0]
    losses = sensitivity(quantize(on_grid(model, 3), x), x)
    for name, found in losses.items():
        assert found[1] == found[2] == found[3] == found[4] == 0, name
    losses = sensitivity(quantize(on_grid(model, 4), x), x)
    for name, found in losses.items():
        assert found[1] > 0 == found[4], name


def test_a_loss_is_the_divergence_of_the_network_in_which_one_layer_alone_rounds():
    """Of three layers on the 3-bit grid but one, rounding all is rounding that one."""
    model, x = network()
    model.one = model.one[0]
    exact = on_grid(model, 3)
    nn.init.normal_(exact.two.weight, generator=torch.Generator().manual_seed(1))
    rounded = quantize(exact, x, weight_bits=3)
    free = measured.folded_copy(rounded)
    with torch.no_grad():
        p, q = (net(x).log_softmax(1) for net in (free, rounded))
    wanted = float((p.exp() * (p - q)).sum(1).mean())
    found = sensitivity(rounded, x)
    assert found["two"][1] == pytest.approx(wanted, rel=1e-4)
    assert found["one"][1] == found["head"][1] == 0


def test_the_terms_that_a_model_has_do_not_matter():
    model, x = network()
    mixed = {"two": [1, 2] * 3, "*": 1}
    wide, narrow = (
        sensitivity(quantize(model, x, terms=terms, bias_correction=False), x)
        for terms in (3, mixed)
    )
    for name, found in wide.items():
        # Biases are rounded in units of the weights' last place: some 1e-6 is noise.
        assert found == pytest.approx(narrow[name], rel=0.05, abs=2e-6)


def test_one_value_without_classes_is_measured_by_its_error():
    model, x = network(classes=1)
    losses = sensitivity(quantize(model, x), x)
    assert all(found[1] > found[4] > 0 for found in losses.values())


def test_vectors_and_several_outputs_are_measured():
    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 3), nn.Linear(8, 2)

        def forward(self, x):
            x = self.body(x).relu()
            return self.a(x), self.b(x)

    torch.manual_seed(0)
    x = torch.randn(40, 5)
    losses = sensitivity(quantize(Heads(), x), x)
    assert list(losses) == ["body", "a", "b"]
    assert all(found[1] > found[4] > 0 for found in losses.values())


CASES = st.lists(
    st.tuples(st.integers(1, 9), st.lists(st.integers(0, 1000), min_size=4, max_size=4)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=200)
@given(CASES, st.floats(1, 4), st.sampled_from((1, 7)))
def test_chosen_terms_are_the_best_of_all_that_fit(cases, mean_terms, factor):
    names = [f"l{i}" for i in range(len(cases))]
    products = {n: factor * product for n, (product, _) in zip(names, cases, strict=True)}
    losses = {
        n: dict(zip(TERMS, map(float, found), strict=True))
        for n, (_, found) in zip(names, cases, strict=True)
    }
    chosen = choose_terms(losses, products, mean_terms)
    room = mean_terms * sum(products.values()) * (1 + 1e-12)

    def spent(terms):
        return sum(product * k for product, k in zip(products.values(), terms, strict=True))

    def lost(terms):
        return sum(losses[n][k] for n, k in zip(names, terms, strict=True))

    every = itertools.product(TERMS, repeat=len(names))
    fitting = [terms for terms in every if spent(terms) <= room]
    got = tuple(chosen[n] for n in names)
    assert got in fitting
    assert lost(got) == min(map(lost, fitting))


@settings(max_examples=50)
@given(CASES, st.floats(1, 4))
@example([(1, [0, 1, 1, 1])] * 2, 4.0)
def test_a_budget_in_large_units_is_kept(cases, mean_terms):
    products = {f"l{i}": 1_000_003 * product + i for i, (product, _) in enumerate(cases)}
    losses = {
        f"l{i}": dict(zip(TERMS, sorted(map(float, found), reverse=True), strict=True))
        for i, (_, found) in enumerate(cases)
    }
    chosen = choose_terms(losses, products, mean_terms)
    fit = Fit(chosen, losses, products)
    assert fit.mean_terms <= mean_terms * (1 + 1e-9)
    if mean_terms == 4:
        assert all(losses[n][terms] == losses[n][4] for n, terms in chosen.items())


def test_a_budget_below_the_fewest_terms_is_refused():
    assert message(ValueError, lambda: choose_terms({"a": {2: 1.0}}, {"a": 4}, 1.5)) == (
        "choose_terms needs mean_terms of at least the fewest that layers may have, not 1.5"
    )


@pytest.mark.parametrize("mean_terms", [0.9, 7.1, math.nan])
def test_budgets_that_no_format_has_are_refused(mean_terms):
    assert message(ValueError, lambda: Budget(mean_terms)) == (
        f"Budget needs mean_terms from 1 to 7, not {mean_terms}"
    )


@pytest.mark.parametrize("bias_correction", [False, True])
def test_quantize_keeps_to_a_budget_and_reports_it(bias_correction):
    model, x = network()
    fits = []
    budget = qnn.Budget(1.7, fits.append)
    quantized = quantize(model, x, terms=budget, bias_correction=bias_correction)
    (fit,) = fits
    layers = {layer.name: layer for layer in quantized.plan.layers}
    assert {name: layers[name].terms for name in fit.terms} == fit.terms
    # The first two have an image of 4 x 8, which each of their weights meets at every position.
    assert fit.products == {"one.0": 108 * 32, "two": 324 * 32, "head": 24}
    assert fit.mean_terms <= 1.7
    assert len(set(fit.terms.values())) > 1
    assert fit.losses == sensitivity(quantize(model, x, bias_correction=False), x)
    same = quantize(model, x, terms=fit.terms, bias_correction=bias_correction)
    assert str(qnn.export(same)) == str(qnn.export(quantized))


def test_bits_take_no_budget():
    model, x = network()
    assert message(TypeError, lambda: quantize(model, x, weight_bits=Budget(3))) == (
        "quantize needs weight_bits as a number, because an array has codes of one width, not a "
        "Budget; give it as terms"
    )


def test_a_network_without_learned_layers_has_no_budget():
    text = message(
        ModelError,
        lambda: quantize(nn.AvgPool2d(2), torch.randn(4, 2, 4, 4), terms=Budget(3)),
    )
    assert text == (
        "Budget needs a layer whose weights are learned, but the network has none; give "
        "terms as a number"
    )
