"""Parameters that learn beside the rounding, as biases do, in units of what their layers give."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.quant.rounding.adam import Adam
from qnn.quant.rounding.flat import flat, split
from qnn.quant.rounding.layer import samples
from qnn.quant.rounding.problem import Problem

FEW = 64  # samples that tell how far results are spread


@dataclass(eq=False)
class Tuned:
    """Parameters that learn, as one vector in their units.

    A step then means the same to a network and to one whose channels are all larger.

    Members
    -------
    adam : of the vector
    units : powers of two, one for each of its values
    before : the parameters as they were, by name
    """

    adam: Adam
    units: Tensor
    before: dict[str, Tensor]

    @staticmethod
    def of(problem: Problem, learns: bool = True) -> "Tuned":
        """Those that the problem lets a method learn; none of them if it ``learns`` none."""
        parameters = dict(problem.model.named_parameters())
        before = {n: parameters[n].detach().float() for n in problem.tuned} if learns else {}
        units = _units(problem, before)
        unit = flat((units[n].expand(value.shape) for n, value in before.items()), problem.device)
        return Tuned(Adam.of(flat(before.values(), problem.device) / unit), unit, before)

    def parameters(self, vector: Tensor | None = None) -> dict[str, Tensor]:
        """The parameters by name, as ``vector`` has them in their units; None: as they are now."""
        vector = self.adam.value if vector is None else vector
        return split(vector * self.units, self.before)


@torch.no_grad()
def _units(problem, names) -> dict[str, Tensor]:
    """By name, how far the results of a parameter's module are spread; 1 where nothing tells."""
    units = {name: torch.ones(()) for name in names}
    modules = {name: name.rpartition(".")[0] for name in names}
    heard = {name: module for name, module in modules.items() if module in problem.scales}
    if heard:
        batch = samples(problem, FEW, FEW, 0)[0]
        given = problem.teacher(batch, tuple(heard.values())).inner
        units |= {name: _spread(given[module], names[name].shape) for name, module in heard.items()}
    return units


def _spread(results: Tensor, shape: Sequence[int]) -> Tensor:
    """The deviation of each channel's results, as a power of two, for a parameter of that shape.

    Channels are dimension 1 of images and the last one of all else; a parameter that has not one
    value for each has the deviation of all results. A channel that never changes has the mean of
    the others.
    """
    channels = 1 if results.dim() == 4 else -1
    rows = results.detach().double().movedim(channels, 0)
    rows = rows if [*shape] == [len(rows)] else rows[None]
    spread = rows.flatten(1).std(1, correction=0).cpu()
    moves = spread > 0
    usual = spread[moves].mean() if bool(moves.any()) else torch.ones(()).double()
    return torch.exp2(torch.where(moves, spread, usual).log2().round()).float()
