"""One layer at a time: what flows into it, when the layers before it are rounded already."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from qnn.errors import ModelError
from qnn.quant.rounding.problem import Batch, Problem
from qnn.quant.rounding.sampling import ShuffledBatches


class _Enough(Exception):
    """Raised inside a network to leave it: what follows is of no interest."""


@dataclass(frozen=True, eq=False)
class Owner:
    """The module whose parameter is to be rounded.

    Members
    -------
    name : of the parameter, dotted
    module : that holds it
    parameter : its name in the module
    """

    name: str
    module: nn.Module
    parameter: str

    def run(self, weight: Tensor, inputs: Sequence[Tensor]) -> Tensor:
        """The module's result with that weight."""
        return functional_call(self.module, {self.parameter: weight}, tuple(inputs), strict=False)


def owners(problem: Problem, method: str) -> list[Owner]:
    """The layers of a problem in the order in which they run.

    Raises
    ------
    ModelError
        A layer does not run, or more than once.
    """
    found = {name: _owner(problem.model, name) for name in problem.layers}
    calls: list[str] = []
    handles = [
        owner.module.register_forward_pre_hook(lambda *_, name=name: calls.append(name))
        for name, owner in found.items()
    ]
    try:
        _forward(problem, {}, samples(problem, 2, 2, 0)[0])
    finally:
        for handle in handles:
            handle.remove()
    for name in found:
        if calls.count(name) != 1:
            raise ModelError(
                f"{method} needs layers that run once, but the one of '{name}' runs "
                f"{calls.count(name)} times; leave it out, or choose discquant with "
                f"start='original'"
            )
    return [found[name] for name in calls]


def _owner(model, name):
    path, _, parameter = name.rpartition(".")
    return Owner(name, model.get_submodule(path), parameter)


def samples(problem: Problem, count: int, batch: int, seed: int) -> list[Batch]:
    """Prepared batches of ``count`` different samples, or of as many as there are.

    All are of one size: what is left over is dropped.
    """
    count = max(1, min(count, problem.samples))
    # One size for all, so that sums over batches are means over equally many samples.
    size = min(batch, count)
    draw = ShuffledBatches(problem, size, seed)
    return [draw(step) for step in range(count // size)]


@torch.no_grad()
def inputs_of(
    owner: Owner,
    problem: Problem,
    given: Mapping[str, Tensor],
    batches: Sequence[Batch],
    take: Callable[[tuple[Tensor, ...]], None],
) -> None:
    """Give ``take`` the operands of a layer, batch by batch, when others have given weights."""

    def hook(_module, operands):
        take(tuple(operand.detach() for operand in operands))
        # The rest of the network would be computed for nothing, for each of its layers once.
        raise _Enough

    handle = owner.module.register_forward_pre_hook(hook)
    try:
        for batch in batches:
            with suppress(_Enough):
                _forward(problem, given, batch)
    finally:
        handle.remove()


@torch.no_grad()
def _forward(problem, given, batch):
    return functional_call(problem.model, dict(given), batch, strict=False)


def columns(module: nn.Module, x: Tensor, name: str, method: str) -> Tensor:
    """What each sum of a layer reads, (sums, groups, weights of a sum).

    Raises
    ------
    ModelError
        The module is neither linear nor a 2-d convolution, nor has it a ``columns`` of its own.
    """
    if hasattr(module, "columns"):
        return module.columns(x)
    if isinstance(module, nn.Linear):
        # A linear layer may be given a sequence: each of its positions is a sum.
        return x.reshape(-1, 1, x.shape[-1])
    if isinstance(module, nn.Conv2d) and module.padding_mode == "zeros":
        padding = module.padding
        if isinstance(padding, str):
            x, padding = _same(module, x), 0
        taken = F.unfold(x, module.kernel_size, module.dilation, padding, module.stride)
        return taken.unflatten(1, (module.groups, -1)).movedim(3, 1).flatten(0, 1)
    raise ModelError(
        f"{method} needs linear layers and 2-d convolutions that pad with zeros, but '{name}' is "
        f"of a {type(module).__name__}; leave it out, or choose discquant with start='original'"
    )


def _same(module, x):
    """Padding by name, as ``nn.Conv2d`` itself pads."""
    if module.padding == "valid":
        return x
    # Of an odd total, the pixel more is behind, as torch has it.
    total = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
    (height, width) = total
    return F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
