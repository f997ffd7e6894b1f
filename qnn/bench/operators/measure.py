"""One operator between two convolutions: the cycles of its layers, by the cycle model."""

from dataclasses import asdict, dataclass

import torch
from torch import nn

from hw.spec.config import SvpeConfig
from qnn.bench.operators.bound import needed_cycles
from qnn.bench.operators.cases import OperatorCase
from qnn.design import compile
from qnn.ptq.export import export
from qnn.ptq.quantize import quantize
from sim.cycles import simulate_cycles
from sim.spent import SpentCycles

IMAGES = 4  # of a batch: the first one's start counts a quarter
CALIBRATION = 4  # images: cycles do not depend on them
WIDE = 16  # channels of the input and of the output: one feature word of the reference size


@dataclass(frozen=True, kw_only=True)
class OperatorCost:
    """Cycles of an operator for one image.

    Members
    -------
    cycles : that the array spent on its layers, waiting included (simulated)
    bound : that its reads and writes need; 0 where the convolutions beside it take it in
    ratio : cycles over bound; None where the bound is 0
    steps, waits : of those cycles: steps of the array, and waiting for anything but the writes
    """

    name: str
    cycles: float
    bound: int
    ratio: float | None
    steps: float
    waits: float

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


class Between(nn.Module):
    """A convolution for each operand, the operator, and a convolution that reads it."""

    def __init__(self, case: OperatorCase):
        super().__init__()
        self.function, self.layers = case.function, nn.ModuleList(case.layers)
        self.stems = nn.ModuleList(nn.Conv2d(WIDE, shape[0], 1) for shape in case.shapes)
        self.head: nn.Module = nn.Identity()

    def forward(self, *x):
        """The head's results."""
        operands = (torch.relu(stem(each)) for stem, each in zip(self.stems, x, strict=True))
        return self.head(self.function(*operands, *self.layers))


def measure_operator(case: OperatorCase, config: SvpeConfig | str) -> OperatorCost:
    """What ``case`` takes on an array of ``config``.

    Raises
    ------
    CompileError
        It does not fit.
    """
    # Convolutions on both sides, so that the operator may join them as it does in a network.
    model = Between(case).eval()
    generator = torch.Generator().manual_seed(0)
    shapes = [(WIDE, *shape[1:]) for shape in case.shapes]
    images = tuple(torch.randn(CALIBRATION, *shape, generator=generator) for shape in shapes)
    with torch.no_grad():
        result = tuple(model(*images).shape[1:])
    model.head = nn.Conv2d(result[0], WIDE, 1)
    data = images if len(images) > 1 else images[0]
    graph = export(quantize(model, data, rounding="nearest", terms=1))
    image = compile(graph, config, IMAGES).artifact
    # Those of the graph alone: a copy that the compiler adds is the operator's.
    beside = {node.name for node in graph.nodes if node.name.startswith(("stems.", "head"))}
    layers = simulate_cycles(image).layers
    spent = sum((each.spent for each in layers if each.name not in beside), SpentCycles())
    # What the convolutions take in has nothing left to read or to write.
    bound = needed_cycles(case.maps, case.shapes, result, image.config)
    return OperatorCost(
        name=case.name,
        cycles=spent.cycles / IMAGES,
        bound=bound,
        ratio=spent.cycles / IMAGES / bound if bound else None,
        steps=spent.issue / IMAGES,
        waits=(spent.cycles - spent.issue - spent.interval) / IMAGES,
    )
