import torch

from qnn.ir.exact import greatest
from qnn.ir.window import Window


def test_a_pool_of_one_tap_is_no_view_of_its_operand():
    x = torch.arange(12).reshape(1, 1, 3, 4)
    found = greatest(x, Window(kernel=(1, 1), stride=(2, 1)), least=0)
    assert found.tolist() == [[[[0, 1, 2, 3], [8, 9, 10, 11]]]]
    x += 1
    assert found.flatten().tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
