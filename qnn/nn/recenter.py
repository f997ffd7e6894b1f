"""BatchNorm's means of a network on its grid: those of its own sums, and no result changes."""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor

from qnn.nn import learning
from qnn.nn.layers import QuantConv
from qnn.nn.learn import learnable
from qnn.nn.model import QuantizedModel
from qnn.quant import pow2


@torch.no_grad()
def recenter(
    quantized: QuantizedModel, run: Callable[[], None], add_up: Callable[[Iterable[Tensor]], None]
) -> None:
    """Give each BatchNorm the mean that its sums have over the images of ``run``.

    What the mean moves by goes into beta. Rounding leaves the float network's mean behind, and a
    correction of biases makes up for the difference in beta. Where training then takes a batch's
    own mean away, beta must not make up for it again.

    Parameters
    ----------
    run : passes images through ``quantized``, whose statistics are frozen meanwhile
    add_up : replaces tensors by their sums over all processes
    """
    convs = [conv for _, conv in learnable(quantized) if conv.plan.eps is not None]
    # Of each channel the sum, and behind them how many values it is of.
    sums = [conv.mean.new_zeros(len(conv.mean) + 1, dtype=torch.float64) for conv in convs]
    hooks = []
    for conv, total in zip(convs, sums, strict=True):
        hooks.append(conv.register_forward_pre_hook(partial(_take_in, total)))
    statistics = [conv.statistics for conv in convs]
    try:
        for conv in convs:
            conv.statistics = "frozen"
        run()
    finally:
        for conv, hook, before in zip(convs, hooks, statistics, strict=True):
            conv.statistics = before
            hook.remove()
    add_up(sums)
    for conv, total in zip(convs, sums, strict=True):
        _move_mean(conv, total[:-1] / total[-1])


def _take_in(total: Tensor, conv: QuantConv, operands: tuple[Tensor, ...]) -> None:
    """Add one batch's sums without bias, in reals, channel by channel."""
    weight = learning.grid_values(conv, conv.folded()[0]) * pow2.exp2(-conv.input_exponent)
    sums = conv.convolve(operands[0], weight.to(operands[0].dtype))
    total[:-1] += sums.double().sum((0, 2, 3))
    total[-1] += sums.numel() // sums.shape[1]


def _move_mean(conv, sums):
    factor = conv.factor()
    mean = sums / factor + (0.0 if conv.bias is None else conv.bias.double())
    conv.beta.add_((mean - conv.mean.double()) * factor)
    conv.mean.copy_(mean)
