import torch

from qnn.quant.rounding.interpolation import Interpolation


def test_one_weight_of_millions_that_is_off_the_grid_counts():
    nothing = torch.zeros(0)
    space = Interpolation({}, nothing, nothing, nothing, nothing.bool(), 1.0)
    x = torch.ones(1 << 25)
    assert space.share(x) == 1
    x[7] = 0.5
    assert space.share(x) == 1 - 2**-25
