from itertools import pairwise

import pytest
import torch
from torch import nn

from qnn.errors import ModelError
from qnn.quant import pow2
from qnn.quant.rounding import DiscQuant, LayerWeights, Nearest, Problem, rounding
from qnn.quant.search_exponent import search_exponent


def weights(*shape, bits=3, terms=1, seed=3):
    w = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return LayerWeights(w, search_exponent(w, bits, terms), bits, terms)


def linear(*sizes, seed=0):
    """A network of linear layers and ReLU, in evaluation mode."""
    torch.manual_seed(seed)
    layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1]).eval()


def test_nearest_rounds_every_layer_by_itself():
    model = linear(3, 2, 4)
    layers = {"0.weight": weights(2, 3), "2.weight": weights(4, 2, bits=2, terms=2)}
    method = rounding("nearest")
    found = method.run(Problem(model, layers), method.choose(), None, None)
    assert found.indices.keys() == layers.keys()
    assert found.indices["2.weight"].shape == (2, 4, 2)
    assert found.tuned == {}
    for name, layer in layers.items():
        expected = pow2.nearest(layer.w, layer.exponent, layer.bits, layer.terms)
        assert torch.equal(found.indices[name], expected)


def test_an_unknown_method_is_refused():
    text = "rounding must be one of nearest, discquant, adaround, gptq, latent, not 'up'"
    with pytest.raises(ValueError, match=f"^{text}$"):
        rounding("up")


def test_options_are_given_by_name_or_as_such():
    method = rounding("discquant")
    assert method.choose() == DiscQuant()
    assert method.choose({"steps": 5, "start": "uniform"}) == DiscQuant(steps=5, start="uniform")
    assert method.choose(DiscQuant(steps=7)) == DiscQuant(steps=7)


def test_an_option_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"^nearest has no option 'steps'; it has none$"):
        rounding("nearest").choose({"steps": 5})


def test_options_of_another_method_are_refused():
    with pytest.raises(TypeError) as error:
        rounding("discquant").choose(Nearest())
    assert str(error.value) == "discquant needs options as a dict or a DiscQuant, not Nearest()"


def refusal(model, layers):
    with pytest.raises(ModelError) as error:
        Problem(model, layers)
    return str(error.value)


def test_a_parameter_that_there_is_not_is_refused():
    assert refusal(linear(3, 2), {"up.weight": weights(2, 3)}) == (
        "rounding needs a parameter 'up.weight', which the model has not; give names as "
        "named_parameters lists them"
    )


def test_a_shared_parameter_is_refused():
    model = linear(3, 3, 3)
    model[2].weight = model[0].weight
    assert refusal(model, {"0.weight": weights(3, 3)}) == (
        "rounding needs weights of one layer, but '0.weight' is also '2.weight'; leave it out or "
        "give each its own tensor"
    )


def test_weights_that_are_not_finite_are_refused():
    layer = weights(2, 3)
    layer.w[1, 1] = float("nan")
    assert refusal(linear(3, 2), {"0.weight": layer}) == (
        "rounding needs finite weights, but '0.weight' holds NaN or infinity; check the checkpoint"
    )
