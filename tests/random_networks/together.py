"""Captures several random networks at once, as most of the time of a capture is PyTorch's start."""

from collections.abc import Sequence

from torch import Tensor, nn

from qnn.frontend.capture import capture
from qnn.frontend.graph import FloatGraph
from qnn.ir.graph import Output
from tests.blocks.parts import evaluated
from tests.models import Case, as_tuple


class Together(nn.Module):
    """Networks beside one another, each with inputs and outputs of its own."""

    def __init__(self, cases: Sequence[Case]):
        super().__init__()
        self.networks = nn.ModuleList(case.model for case in cases)
        self.inputs = [len(as_tuple(case.calibration)) for case in cases]

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        found, rest = [], iter(given)
        for network, count in zip(self.networks, self.inputs, strict=True):
            found += as_tuple(network(*(next(rest) for _ in range(count))))
        return tuple(found)


def captured(cases: Sequence[Case]) -> list[FloatGraph | None]:
    """The float graph of each network; None where it has to be captured alone."""
    found: list[FloatGraph | None] = [None] * len(cases)
    # Whether inputs of three axes are tokens is decided for a whole program.
    able = [n for n, case in enumerate(cases) if "input: tokens" not in case.kinds]
    if len(able) < 2:
        return found
    joined = Together([cases[n] for n in able])
    try:
        whole = capture(joined, tuple(x for n in able for x in as_tuple(cases[n].calibration)))
    except Exception:  # any: one of them fails, in which way its own capture tells
        return found
    inputs, results = list(whole.inputs), _results(whole)
    for n in able:
        given, count = as_tuple(cases[n].calibration), _count(cases[n])
        own, inputs = inputs[: len(given)], inputs[len(given) :]
        mine, results = results[:count], results[count:]
        # What the host computes is a program of all networks.
        found[n] = None if None in mine else _part(whole, own, tuple(mine))
    return found


def _results(whole: FloatGraph) -> list[Output | None]:
    """The output that is each result; None where the host computes it."""
    if whole.host is None:
        return list(whole.outputs)
    # An output that continues another is no tensor of its own.
    alone = whole.host.tensors == len(whole.outputs)
    outputs = dict(enumerate(whole.outputs)) if alone else {}
    return [outputs.get(number) for number in whole.host.results]


def _count(case):
    return len(as_tuple(evaluated(case.model, *as_tuple(case.calibration))))


def _part(whole: FloatGraph, inputs, outputs: tuple[Output, ...]) -> FloatGraph:
    names = {output.name for output in outputs} | {node.name for node in inputs}
    for node in reversed(whole.nodes):
        if node.name in names:
            names.update(node.inputs)
    return FloatGraph(tuple(node for node in whole.nodes if node.name in names), outputs)
