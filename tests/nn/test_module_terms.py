import re

import pytest
import torch
from torch import nn

from qnn.errors import ModelError
from qnn.nn.module_terms import choose_module_terms
from qnn.nn.round import round_module
from qnn.nn.row_losses import row_losses
from qnn.quant import pow2
from qnn.quant.rounding.distillation import Measure, answers, drawn_slope
from qnn.quant.rounding.problem import Answers
from qnn.quant.search_exponent import search_exponent
from qnn.tasks.kinds import TaskKind
from qnn.tasks.losses import spread
from tests.nn.test_round import NAMES, decoder


def mean(terms, module):
    counts = {name: module.get_parameter(name)[0].numel() for name in terms}
    spent = sum(k * counts[name] for name, rows in terms.items() for k in rows)
    return spent / sum(counts[name] * len(rows) for name, rows in terms.items())


@pytest.mark.parametrize("wanted", [1, 1.5, 2.25, 7])
def test_the_mean_of_terms_is_kept_and_used(wanted):
    model, tokens = decoder()
    terms = choose_module_terms(model, NAMES, tokens, wanted)
    assert terms.keys() == set(NAMES)
    assert wanted - 0.1 <= mean(terms, model) <= wanted
    assert all(len(rows) == len(model.get_parameter(name)) for name, rows in terms.items())


def test_chosen_terms_lose_less_than_the_same_mean_elsewhere():
    model, tokens = decoder()
    chosen = choose_module_terms(model, NAMES, tokens, 1.5)
    # Of as many terms, with those of half of the rows exchanged for the others'.
    other = {name: tuple(3 - k if k < 3 else k for k in rows) for name, rows in chosen.items()}
    lost = {}
    for kind, terms in (("chosen", chosen), ("other", other)):
        rounded = round_module(model, NAMES, None, "nearest", 3, terms)
        with torch.no_grad():
            lost[kind] = float(Measure()(answers(model, {}, tokens), answers(rounded, {}, tokens)))
    assert lost["chosen"] < 0.6 * lost["other"]


@pytest.mark.parametrize("kind", [TaskKind.CLASSES, TaskKind.MULTILABEL, TaskKind.REGRESSION])
def test_a_rows_loss_is_the_tasks_when_it_alone_is_rounded(kind):
    torch.manual_seed(1)
    # Wide weights in a fine grid: small changes, of which the second-order part is nearly all.
    model = nn.Linear(40, 4)
    x = torch.randn(4000, 40)
    losses = row_losses(model, ("weight",), x, (2,), 5, kinds=(kind,), seed=3, sweeps=0)
    found = losses["weight"][2]
    exponent = search_exponent(model.weight, 5, 2)
    near = pow2.snap(model.weight, exponent, 5, 2)
    for row in range(4):
        weight = model.weight.detach().clone()
        weight[row] = near[row]
        with torch.no_grad():
            wanted = answers(model, {}, x)
            got = answers(model, {"weight": weight}, x)
            measured = float(Measure(kinds=(kind,))(wanted, got))
        # 512 samples, so that the estimate has a spread of some six percent.
        assert float(found[row]) == pytest.approx(measured, rel=0.3)


def test_weights_of_a_row_make_up_for_each_other():
    torch.manual_seed(1)
    # Inputs that are nearly one: what a weight adds too much, another one can take back.
    x = torch.randn(600, 1) + 0.2 * torch.randn(600, 24)
    model = nn.Linear(24, 5)
    alone, together = (
        row_losses(model, ("weight",), x, (1, 2), sweeps=sweeps)["weight"] for sweeps in (0, 3)
    )
    for terms in (1, 2):
        assert bool((together[terms] <= alone[terms] * 1.01).all())
        assert together[terms].sum() < 0.5 * alone[terms].sum()


def test_columns_that_do_not_fit_are_measured_in_blocks(monkeypatch):
    torch.manual_seed(1)
    model, x = nn.Linear(10, 3), torch.randn(600, 10)
    whole = row_losses(model, ("weight",), x, (1,), sweeps=0)["weight"][1]
    monkeypatch.setattr("qnn.nn.row_losses.MOST_VALUES", 4 * model.weight.numel())
    parts = row_losses(model, ("weight",), x, (1,), sweeps=0)["weight"][1]
    # Inputs are independent, so that blocks leave little out.
    torch.testing.assert_close(parts, whole, rtol=0.3, atol=0)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (3, 1, 2)])
@pytest.mark.parametrize("kind", [TaskKind.CLASSES, TaskKind.MULTILABEL, TaskKind.REGRESSION])
def test_drawn_gradients_vary_as_the_loss_bends(kind, shape):
    wanted = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    unit = spread(wanted)

    def loss(flat):
        return Measure(kinds=(kind,))(Answers((wanted,)), Answers((flat.view(wanted.shape),)))

    hessian = torch.autograd.functional.hessian(loss, wanted.flatten())
    draws = torch.Generator().manual_seed(1)
    drawn = torch.stack([drawn_slope(kind, wanted, unit, draws).flatten() for _ in range(4000)])
    assert drawn.shape[1:] == wanted.flatten().shape
    torch.testing.assert_close(
        drawn.T @ drawn / len(drawn), hessian, atol=0.06 * float(hessian.abs().max()), rtol=0
    )


class _Turned(nn.Module):
    """A module whose positions come behind its classes."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x).mT


def test_classes_of_tokens_are_those_of_maps_with_the_positions_behind():
    model, tokens = decoder()
    tokens = tokens[:8]
    untold = row_losses(model, ("head.weight",), tokens, (1,))["head.weight"][1]
    turned = _Turned(model)
    kinds = (TaskKind.PIXELS,)
    told = row_losses(turned, ("module.head.weight",), tokens, (1,), kinds=kinds)
    torch.testing.assert_close(told["module.head.weight"][1], untold)


def test_rows_on_the_grid_lose_nothing_and_get_the_fewest_terms():
    model = nn.Linear(16, 6, bias=False)
    with torch.no_grad():
        model.weight[:3] = 0.5
    terms = choose_module_terms(model, ("weight",), torch.randn(64, 16), 1.5)["weight"]
    assert terms[:3] == (1, 1, 1)
    assert sum(terms) == 9


@pytest.mark.parametrize(
    ("names", "data", "terms", "kind", "text"),
    [
        ((), 8, 1.5, ModelError, "names and data, but got 0 names and 8 samples"),
        (("weight",), 0, 1.5, ModelError, "names and data, but got 1 names and 0 samples"),
        (("weight",), 8, 0.5, ValueError, "mean_terms from 1 to 7, not 0.5"),
    ],
)
def test_what_no_terms_can_be_chosen_of_is_refused(names, data, terms, kind, text):
    with pytest.raises(kind, match=f"^{re.escape(f'choose_module_terms needs {text}')}$"):
        choose_module_terms(nn.Linear(4, 3), names, torch.randn(data, 4), terms)


def test_terms_must_be_of_each_weight_and_each_row():
    model = nn.Linear(4, 3)
    for terms, text in (
        ({"bias": 1}, "terms of 'weight', but has those of ['bias']"),
        ({"weight": (1, 2)}, "terms of each of the 3 rows of 'weight', or one number, not 2"),
    ):
        with pytest.raises(ModelError, match=f"^{re.escape(f'round_module needs {text}')}$"):
            round_module(model, ("weight",), None, "nearest", 3, terms)
