"""Which rows of a layer lose most: a layer's loss, split among its output channels."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from qnn.nn.learn import folded_copy
from qnn.nn.model import QuantizedModel
from qnn.nn.plan import Plan
from qnn.ptq.sensitivity import Trials, images_within
from qnn.tasks.kinds import TaskKind
from qnn.tasks.losses import spread

IMAGES, DRAWS = 128, 4  # that measure, and answers that are drawn for each
# Of all tensors of a network at a time, 256 MiB in float32 and some times as much for gradients.
VALUES = 1 << 26
FEWEST = 4  # places for each channel, with which combinations of channels are known
DAMPING = 0.01  # of a regression, as a share of the mean variance

Shares = Mapping[str, Mapping[int, Tensor]]  # by layer and terms: (outputs,), 1 in all


def row_shares(
    quantized: QuantizedModel,
    images: tuple[Tensor, ...],
    kinds: Sequence[TaskKind],
    trials: Trials,
) -> dict[str, dict[int, Tensor]]:
    """The share that each row has in what its layer loses, but for what readers can take back.

    A divergence is, next to its least, half the mean square of how far the logarithm of a drawn
    answer's likelihood moves. What one row moves it by is the gradient of its results times their
    change. A reader that mixes channels undoes what of the change is a combination of the channels
    at the same place, any other a factor.

    Parameters
    ----------
    quantized : of any terms, its weights not yet replaced by a rounding method
    images : (count, ...) of each input, what the float model takes; ``IMAGES`` of them count
    kinds : what each output is for
    trials : rounded weights and biases of each layer, by terms; those of others do not count
    """
    # Two of them, as weights must not change before gradients are computed.
    free, rounded = folded_copy(quantized), folded_copy(quantized)
    squares = {name: {k: torch.zeros(()) for k in tried} for name, tried in trials.items()}
    seen: dict[str, tuple[tuple[Tensor, ...], Tensor]] = {}
    for name in trials:
        free.layer(name).register_forward_hook(partial(_keep, seen, name))
    mixes = {name: _mixes(free.plan, name) for name in trials}
    size = min(IMAGES, max(1, images_within(VALUES, quantized.plan)))
    images = tuple(each[:IMAGES] for each in images)
    with torch.no_grad():
        scales = [spread(each) for each in free.unfinished(*(x[:size] for x in images))]
    generator = torch.Generator().manual_seed(0)
    for part in zip(*(each.split(size) for each in images), strict=True):
        scores = free.unfinished(*part)
        moved = {
            (name, k): _moved(rounded.layer(name), trial[name], *seen[name], mixes[name])
            for name, tried in trials.items()
            for k, trial in tried.items()
        }
        for _ in range(DRAWS):
            drawn = _drawn(scores, scales, kinds, generator)
            results = [seen[name][1] for name in trials]
            # A layer that no output depends on has no gradient.
            slopes = torch.autograd.grad(drawn, results, retain_graph=True, materialize_grads=True)
            for name, slope in zip(trials, slopes, strict=True):
                for k in trials[name]:
                    of_image = (slope * moved[name, k]).flatten(2).sum(2).double()
                    squares[name][k] = squares[name][k] + of_image.square().sum(0)
    return {name: {k: _parts(each) for k, each in tried.items()} for name, tried in squares.items()}


def _keep(seen, name, _layer, operands, result) -> None:
    seen[name] = tuple(operand.detach() for operand in operands), result


def _mixes(plan: Plan, name: str) -> bool | None:
    """Whether a layer that learns and reads the tensor mixes channels; None: none reads it."""
    readers = [layer for layer in plan.layers if name in layer.inputs]
    found = [
        layer.window.groups == 1 if layer in plan.learned else _mixes(plan, layer.name)
        for layer in readers
    ]
    known = [each for each in found if each is not None]
    return any(known) if known else None


@torch.no_grad()
def _moved(conv, trial, operands, result, mixes) -> Tensor:
    """How far a rounded layer's results move, (images, outputs, height, width)."""
    weight, bias = trial
    own = conv.weight.clone(), None if conv.bias is None else conv.bias.clone()
    conv.weight.copy_(weight)
    if bias is not None:
        conv.bias.copy_(bias)
    moved = conv(*operands) - result
    conv.weight.copy_(own[0])
    if bias is not None:
        conv.bias.copy_(own[1])
    if mixes is None:
        return moved
    # A reader's bias takes means back.
    x, d = (each.transpose(0, 1).flatten(1) for each in (result, moved))
    x, d = x - x.mean(1, keepdim=True), d - d.mean(1, keepdim=True)
    if mixes and x.shape[1] >= FEWEST * len(x):
        second = x @ x.T
        second += torch.eye(len(x)) * (DAMPING * second.diagonal().mean() + 1e-9)
        d = d - torch.linalg.solve(second, x @ d.T).T @ x
    else:
        d = d - (d * x).sum(1, keepdim=True) / ((x * x).sum(1, keepdim=True) + 1e-9) * x
    shape = moved.transpose(0, 1).shape
    return d.reshape(shape).transpose(0, 1)


def _drawn(scores, scales, kinds, generator) -> Tensor:
    """The logarithm of the likelihood of answers that are drawn by the scores, of all outputs."""
    total = torch.zeros(())
    for out, scale, kind in zip(scores, scales, kinds, strict=True):
        count = out[0].numel()
        if kind.competes:
            likely = out.flatten(2) if out.dim() > 2 else out[:, :, None]
            likely = likely.log_softmax(1).transpose(1, 2).flatten(0, 1)
            answers = torch.multinomial(likely.detach().exp(), 1, generator=generator)
            total = total + likely.gather(1, answers).sum() / math.sqrt(count / out.shape[1])
        else:
            signs = torch.randint(0, 2, out.shape, generator=generator) * 2 - 1
            total = total + (signs * out).sum() / math.sqrt(count * float(scale))
    return total


def _parts(squares):
    """Of what loses nothing, all rows have as much."""
    total = squares.sum()
    return squares / total if total > 0 else torch.full_like(squares, 1 / len(squares))
