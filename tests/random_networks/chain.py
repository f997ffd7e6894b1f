"""Holds all executors of one random PyTorch network to each other, tensor by tensor."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch.testing import assert_close

import qnn
from qnn.errors import CompileError
from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.graph import FloatGraph
from qnn.ir.encode import decode, encode_input
from qnn.ir.graph import Graph
from qnn.nn.model import QuantizedModel
from sim.verify import verify
from tests.blocks.functions import JUMPS
from tests.blocks.parts import evaluated
from tests.expected import expected_tensors
from tests.float_results import float_results, in_float64
from tests.models import Case, Given, as_arrays, as_tuple, quantized, results_of
from tests.random_networks.configs import Target
from tests.random_networks.reached import reached

# Of the greatest value of an output: what weights in float32 lose over some layers.
FLOAT_ERROR = 1e-4
NOISE = 8  # times what float32 loses in the model itself


@dataclass(frozen=True)
class Passed:
    """What was compared: values on each device, the kinds of operators, and how it was compiled."""

    values: int
    kinds: tuple[str, ...]
    target: str


def hold(
    case: Case,
    targets: Sequence[Target],
    batch: int,
    devices: Sequence[str],
    captured: FloatGraph | None = None,
) -> Passed | None:
    """PyTorch, the reference and ``devices`` give the same; None where no configuration holds it.

    Parameters
    ----------
    targets : the first that holds the network runs it; formats follow the first of all, and the
        others have room for them
    captured : the float graph, where it has been captured already

    Raises
    ------
    AssertionError
        Two of them differ; the text has the network.
    """
    torch.set_num_threads(1)
    captured = captured or capture(case.model, case.calibration)
    check_floats(case, captured)
    first = targets[0].config
    model = quantized(case, first.weight_bits, first.activation_bits, captured)
    graph = qnn.export(model)
    expected = check_integers(model, graph, case.images)
    x = encode_input(graph, as_arrays(case.images))
    for target in targets:
        try:
            design = qnn.compile(graph, target.config, batch=batch)
        except CompileError:
            continue
        values = 0
        for device in devices:
            options = target.options if device == "rtl" else {}
            report = verify(design, x, device, expected=expected, **options)
            assert report.passed, f"{device}: {report}\n{graph}"
            values += report.values_compared
        return Passed(values, (*case.kinds, *reached(design)), target.name)
    return None


def check_floats(case: Case, captured: FloatGraph) -> None:
    """The fused float graph computes what the model does, both in float64.

    In float32, a normalisation of what hardly differs enlarges whatever order sums have.
    """
    if any(kind.endswith(JUMPS) for kind in case.kinds):
        return
    given, fused = as_tuple(case.calibration), fuse(captured, checked=True)
    plain = as_tuple(evaluated(case.model, *given))
    exact = as_tuple(evaluated(deepcopy(case.model).double(), *in_float64(given)))
    with torch.no_grad():
        got = float_results(in_float64(fused), *in_float64(given))
    # Weights that were folded are float32.
    noise = max(float((a - b).abs().max()) for a, b in zip(exact, plain, strict=True))
    for found, each in zip(got, exact, strict=True):
        error = FLOAT_ERROR * float(each.abs().max()) + NOISE * noise + 1e-6
        assert_close(found, each, atol=error, rtol=1e-3, check_dtype=False)


def check_integers(model: QuantizedModel, graph: Graph, images: Given) -> dict[str, np.ndarray]:
    """Every tensor of the quantized model is the reference's; these are returned."""
    expected = expected_tensors(graph, encode_input(graph, as_arrays(images)))
    for name, tensor in model.tensors(*as_tuple(images)).items():
        np.testing.assert_array_equal(tensor.numpy(), expected[name], name)
    for value, wanted in zip(results_of(model, images), decode(graph, expected), strict=True):
        np.testing.assert_array_equal(_normal(value.double().numpy()), _normal(wanted))
    return expected


def _normal(reals: np.ndarray) -> np.ndarray:
    """The same, with 0 for what float32 has no normal number for: PyTorch may give 0 there."""
    return np.where(np.abs(reals) < np.finfo(np.float32).tiny, 0, reals)
