import numpy as np
import pytest
import torch

from qnn.ir import exact, exact_arrays
from qnn.ir.exact import greatest
from qnn.ir.window import Window


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [(0, 0), (2, 1), (-1, 0), (0, -2)])
def test_columns_in_reverse_are_those_of_each_window_from_the_last_to_the_first(stride, padding):
    rng = np.random.default_rng(0)
    x, weights = rng.integers(-9, 9, (2, 3, 4, 9)), rng.integers(-3, 4, (5, 3, 1, 2))
    window = Window(kernel=(1, 2), stride=(2, -stride), padding=(0, 0, *padding))
    height, width = window.output_size((4, 9))
    seen = np.pad(x, ((0, 0),) * 3 + ((2, 2),))[..., 2 - padding[0] : 11 + padding[1]]
    wanted = np.empty((2, 5, height, width))
    for row in range(height):
        for column in range(width):
            first = (width - 1 - column) * stride
            taps = seen[:, :, 2 * row, first : first + 2]
            wanted[..., row, column] = np.einsum("bit,oit->bo", taps, weights[:, :, 0])
    got = exact.convolved(torch.tensor(x), torch.tensor(weights, dtype=torch.float64), window)
    assert np.array_equal(got, wanted)
    got = exact_arrays.convolved(x, weights.astype(np.float64), window)
    assert np.array_equal(got, wanted)


def test_a_pool_of_one_tap_is_no_view_of_its_operand():
    x = torch.arange(12).reshape(1, 1, 3, 4)
    found = greatest(x, Window(kernel=(1, 1), stride=(2, 1)), least=0)
    assert found.tolist() == [[[[0, 1, 2, 3], [8, 9, 10, 11]]]]
    x += 1
    assert found.flatten().tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
