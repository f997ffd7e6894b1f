"""Parameters beside the rounding learn the same, whatever the size of their channels."""

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.quant.rounding import LayerWeights, Problem
from qnn.quant.rounding.discquant import discquant
from qnn.quant.rounding.distillation import module_teacher
from qnn.quant.rounding.latent import Latent, latent
from qnn.quant.rounding.tuned import _spread
from tests.quant.test_rounding_discquant import paper, problem

BIASES = {"batch": 16, "tune_bias": True, "bias_steps": 12}
METHODS = {
    "latent": (latent, Latent(steps=12, batch=16)),
    # Biases alone: how far weights are pulled depends on the steps of all grids together.
    "discquant": (discquant, paper(steps=1, rate=1e-9, start="nearest", **BIASES)),
}


def rescaled(case: Problem, powers: torch.Tensor) -> Problem:
    """The problem with channels 2**``powers`` times as large inside, and the same answers."""
    model, factor = copy.deepcopy(case.model), torch.exp2(powers)
    with torch.no_grad():
        model[0].weight.mul_(factor[:, None])
        model[0].bias.mul_(factor)
        model[2].weight.div_(factor)
    first = case.layers["0.weight"]
    layers = {
        "0.weight": LayerWeights(
            model[0].weight.detach(), first.exponent + powers.long(), first.bits, first.terms
        )
    }
    given = {"model": model, "layers": layers, "teacher": module_teacher(model)}
    return Problem(**given, data=case.data, tuned=case.tuned, scales=case.scales)


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=10)
@given(powers=st.lists(st.integers(-12, 12), min_size=12, max_size=12), seed=st.integers(0, 9))
def test_larger_channels_learn_larger_biases(name, powers, seed):
    method, options = METHODS[name]
    powers = torch.tensor(powers, dtype=torch.float32)
    case = replace(problem(seed), scales={"0": 1.0, "2": 1.0})
    case = replace(case, layers={"0.weight": case.layers["0.weight"]})
    found, larger = method(case, options), method(rescaled(case, powers), options)
    before = dict(case.model.named_parameters())
    assert not torch.equal(found.tuned["0.bias"], before["0.bias"])
    assert torch.equal(larger.tuned["0.bias"], found.tuned["0.bias"] * torch.exp2(powers))
    assert torch.equal(larger.tuned["2.bias"], found.tuned["2.bias"])
    assert torch.equal(larger.indices["0.weight"], found.indices["0.weight"])


@pytest.mark.parametrize(
    ("shape", "parameter", "wanted"),
    [
        ((8, 3), (3,), [1.0, 1024.0, 1.0]),  # vectors
        ((8, 5, 3), (3,), [1.0, 1024.0, 1.0]),  # tokens
        ((8, 3, 2, 2), (3,), [1.0, 1024.0, 1.0]),  # images
        ((8, 3, 2, 2), (4,), [512.0]),  # a parameter of something else than channels
    ],
)
def test_units_are_of_the_channels_of_any_results(shape, parameter, wanted):
    axis = 1 if len(shape) == 4 else -1
    results = torch.randn(shape, generator=torch.Generator().manual_seed(0)).movedim(axis, 0)
    deviation = results.flatten(1).std(1, correction=0)
    results = (results / deviation.view(-1, *[1] * (len(shape) - 1))).clone()
    results[1] *= 1024
    found = _spread(results.movedim(0, axis), parameter)
    assert found.tolist() == wanted
    # A channel that never changes has no size of its own.
    results[0] = 7.0
    assert _spread(results.movedim(0, axis), parameter).shape == found.shape
