from typing import NamedTuple

import pytest
import torch

from qnn.tasks.structures import names_of, nested_like, on_tensors, tensors_of

A, B, C = (torch.full((2,), float(number)) for number in range(3))


class Found(NamedTuple):
    boxes: torch.Tensor
    scores: torch.Tensor


NESTINGS = {
    "tensor": (A, ("output",), (A,)),
    "tuple": ((A, B), ("output_0", "output_1"), (A, B)),
    "list": ([A, None, B], ("output_0", "output_2"), (A, B)),
    "dictionary": ({"out": A, "aux": B}, ("out", "aux"), (A, B)),
    "named": (Found(A, B), ("boxes", "scores"), (A, B)),
    "nested": ({"heads": [A, (B,)], "x": C}, ("heads.0", "heads.1.0", "x"), (A, B, C)),
}


@pytest.mark.parametrize(("result", "names", "tensors"), NESTINGS.values(), ids=NESTINGS)
def test_tensors_have_an_order_and_names_and_go_back(result, names, tensors):
    assert names_of(result) == names
    found = tensors_of(result)
    assert [float(x[0]) for x in found] == [float(x[0]) for x in tensors]
    assert str(nested_like(result, found)) == str(result)
    doubled = on_tensors(lambda x: x * 2, result)
    assert type(doubled) is type(result)
    assert [float(x[0]) for x in tensors_of(doubled)] == [2 * float(x[0]) for x in tensors]


def test_tensors_of_another_count_do_not_go_back():
    with pytest.raises(StopIteration):
        nested_like((A, B), (A,))
