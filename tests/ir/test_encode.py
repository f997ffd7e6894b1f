import numpy as np
import pytest
import torch

from qnn.ir.encode import round_reals
from qnn.quant.activation import encode
from qnn.quant.qtype import QType


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("type", [QType(8, False, 3), QType(4, True, -2), QType(24, True, 20)])
def test_reals_become_the_integers_that_training_rounds_to(dtype, type):
    rng = np.random.default_rng(1)
    ties = (np.arange(-300, 300) + 0.5) * 2.0**-type.exponent
    x = np.concatenate([rng.normal(0, 50, 1000), ties, [0.0, -0.0, 6e4, -6e4]]).astype(dtype)
    assert np.array_equal(round_reals(x, type), encode(torch.from_numpy(x), type).numpy())
