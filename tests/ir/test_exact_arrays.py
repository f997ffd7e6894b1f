import numpy as np
import pytest
from hypothesis import given, settings

from qnn.ir import arithmetic, exact_arrays
from qnn.ir.reference import reference
from tests.graphs import Limits, graphs, images


@settings(max_examples=60, deadline=None)
@given(graph=graphs(Limits(products=True, table_bits=8)))
def test_without_torch_every_tensor_is_the_same(graph):
    x = images(graph, 3)
    expected = reference(graph, x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qnn.ir.reference.arithmetic", lambda: exact_arrays)
        for kind in ("conv", "concat", "interleave", "max_pool", "multiply"):
            patch.setattr(f"qnn.ir.ops.{kind}.arithmetic", lambda: exact_arrays)
        got = reference(graph, x)
    assert got.keys() == expected.keys()
    for name, tensor in expected.items():
        assert got[name].dtype == tensor.dtype
        assert np.array_equal(got[name], tensor), name


def test_torch_computes_where_it_is_installed():
    assert arithmetic.arithmetic().__name__ == "qnn.ir.exact"
