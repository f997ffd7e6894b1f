"""Which rows of a layer lose most: a layer's loss, split among its output channels."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from qnn.nn.learn import folded_copy
from qnn.nn.model import QuantizedModel
from qnn.ptq.sensitivity import Trials
from qnn.tasks.kinds import TaskKind
from qnn.tasks.losses import spread

IMAGES = 128  # of which each has one answer drawn: shares then err by an eighth

Shares = Mapping[str, Mapping[int, Tensor]]  # by layer and terms: (outputs,), 1 in all


def row_shares(
    quantized: QuantizedModel,
    images: tuple[Tensor, ...],
    kinds: Sequence[TaskKind],
    trials: Trials,
) -> dict[str, dict[int, Tensor]]:
    """The share that each row has in what its layer loses where it alone is rounded.

    A divergence is, next to its least, half the mean square of how far the logarithm of a drawn
    answer's likelihood moves. What one row's rounding moves it by is the gradient of its weights
    times their change.

    Parameters
    ----------
    quantized : of any terms, its weights not yet replaced by a rounding method
    images : (count, ...) of each input, what the float model takes; ``IMAGES`` of them count
    kinds : what each output is for
    trials : rounded weights and biases of each layer, by terms; those of others do not count
    """
    free = folded_copy(quantized)
    layers = {name: free.layer(name) for name in trials}
    weights = [layer.weight for layer in layers.values()]
    biases = [layer.bias for layer in layers.values() if layer.bias is not None]
    squares = {
        name: {k: torch.zeros(len(layers[name].weight)).double() for k in tried}
        for name, tried in trials.items()
    }
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        scales = [spread(each) for each in free.unfinished(*(x[:IMAGES] for x in images))]
    for number in range(min(IMAGES, len(images[0]))):
        scores = free.unfinished(*(x[number : number + 1] for x in images))
        drawn = _drawn(scores, scales, kinds, generator)
        # A layer that no output depends on has no gradient.
        found = torch.autograd.grad(drawn, [*weights, *biases], materialize_grads=True)
        slopes, levels = found[: len(weights)], iter(found[len(weights) :])
        for (name, layer), slope in zip(layers.items(), slopes, strict=True):
            level = None if layer.bias is None else next(levels)
            for k, trial in trials[name].items():
                weight, bias = trial[name]
                moved = (slope * (weight - layer.weight)).detach().flatten(1).sum(1)
                if bias is not None and level is not None:
                    moved = moved + level * (bias - layer.bias).detach()
                squares[name][k] += moved.double().square()
    return {name: {k: _parts(each) for k, each in tried.items()} for name, tried in squares.items()}


def _drawn(scores, scales, kinds, generator) -> Tensor:
    """The logarithm of the likelihood of answers that are drawn by the scores, of all outputs."""
    total = torch.zeros(())
    for out, scale, kind in zip(scores, scales, kinds, strict=True):
        if kind.competes:
            likely = out.flatten(2).log_softmax(1)[0] if out.dim() > 2 else out.log_softmax(1).T
            chances = likely.detach().exp().T
            answers = torch.multinomial(chances, 1, generator=generator)
            total = total + likely.T.gather(1, answers).sum() / math.sqrt(len(answers))
        else:
            signs = torch.randint(0, 2, out.shape, generator=generator) * 2 - 1
            total = total + (signs * out).sum() / math.sqrt(out.numel() * float(scale))
    return total


def _parts(squares):
    """Of what loses nothing, all rows have as much."""
    total = squares.sum()
    return squares / total if total > 0 else torch.full_like(squares, 1 / len(squares))
