import pytest
import torch

from qnn.quant import pow2
from qnn.quant.rounding import Weights, rounding


def test_nearest_rounds_every_layer_by_itself():
    generator = torch.Generator().manual_seed(3)
    layers = {
        "a": Weights(torch.randn(2, 3, 1, 1, generator=generator), torch.tensor([0, 1]), 3),
        "b": Weights(torch.randn(4, 2, generator=generator), torch.tensor([0, 1, 0, -1]), 2, 2),
    }
    indices = rounding("nearest")(layers, None)
    assert indices.keys() == layers.keys()
    assert indices["b"].shape == (2, 4, 2)
    for name, layer in layers.items():
        expected = pow2.nearest(layer.w, layer.exponent, layer.bits, layer.terms)
        assert torch.equal(indices[name], expected)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match=r"^rounding must be one of nearest, not 'up'$"):
        rounding("up")
