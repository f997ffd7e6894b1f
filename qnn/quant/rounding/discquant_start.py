"""Where DiscQuant's search begins: at the weights, at random, or at values of another method."""

from dataclasses import replace

import torch
from torch import Tensor

from qnn.quant.rounding.adaround import AdaRound, adaround
from qnn.quant.rounding.checkpoint import Checkpoint
from qnn.quant.rounding.gptq import Gptq, gptq
from qnn.quant.rounding.interpolation import Interpolation
from qnn.quant.rounding.sampling import generator

ROUNDED = ("gptq", "adaround")  # starts that another method gives
STARTS = ("original", "uniform", "nearest", *ROUNDED)


def rounded_before(problem, options, kept, progress, checkpoint) -> dict[str, Tensor] | None:
    """The indices that another method gives to start from, or gave before an interruption.

    None where the start is no other method's.

    Parameters
    ----------
    kept : the checkpoint's tensors, where there is one
    checkpoint : of the search; the other method has a file of its own beside it, meanwhile
    """
    if options.start not in ROUNDED:
        return None
    if kept is not None:
        return {name: kept[f"start.{name}"] for name in problem.layers}
    file = None if checkpoint is None else start_file(checkpoint)
    shared = {"samples": options.start_samples, "seed": options.seed}
    if options.start == "gptq":
        return gptq(problem, Gptq(**shared), progress, file).indices
    learnt = AdaRound(steps=options.start_steps, **shared)
    return adaround(problem, learnt, progress, file).indices


def start_file(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint of the method that gives the start of a search."""
    return replace(checkpoint, path=checkpoint.path.with_name(f"{checkpoint.path.name}.start"))


def start_of(space: Interpolation, options) -> Tensor:
    """Where x lies before the first step, (count,) from 0 to 1."""
    if options.start == "original":
        return space.y.clone()
    if options.start in ("nearest", *ROUNDED):
        return space.y.round()
    # Step 0 of its own purpose: the batches' draws stay those of the other starts.
    drawn = torch.rand(space.y.shape, generator=generator(options.seed, "start", 0))
    return torch.where(space.free, drawn.to(space.y.device), 0)
