"""The sizes that the rates of biases and of BatchNorm's parameters are in units of.

Adam's steps are as long as the rate, whatever the gradient: 3e-4 is nothing to a bias beside
results of a thousand, and ruins one beside results of a millionth.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from qnn.nn import learn
from qnn.nn.layers import QuantConv
from qnn.nn.model import QuantizedModel


@torch.no_grad()
def sizes(
    student: QuantizedModel,
    start: QuantizedModel,
    run: Callable[[QuantizedModel], object],
    add_up: Callable[[list[Tensor]], None],
) -> Mapping[nn.Parameter, float]:
    """What one is to each bias, and to each BatchNorm's factor and shift, of ``student``.

    To a bias it is the standard deviation of its layer's results, to a factor the root of the
    channels' mean square. It is 1 where there is nothing to measure by: results of 0, or a table
    behind the sums, whose function says what is large.

    Parameters
    ----------
    start : the model before training, in evaluation
    run : passes a batch through it
    add_up : sums tensors over all processes, in place
    """
    moments = {name: torch.zeros(3, dtype=torch.float64) for name, _ in learn.learnable(start)}
    hooks = [
        conv.register_forward_hook(_adds_to(moments[name]))
        for name, conv in learn.learnable(start)
        if conv.lookup is None
    ]
    run(start)
    for hook in hooks:
        hook.remove()
    add_up(list(moments.values()))
    found = {}
    for name, conv in learn.learnable(student):
        deviation = _deviation(moments[name])
        found |= {each: deviation for each in (conv.bias, conv.beta) if each is not None}
        if conv.gamma is not None:
            found[conv.gamma] = float(conv.gamma.double().square().mean().sqrt()) or 1.0
    return found


def _adds_to(moments):
    def add(conv: QuantConv, _operands, result: Tensor):
        reals = result.double() * 2.0 ** -int(conv.exponent)
        sums = torch.stack([reals.new_tensor(reals.numel()), reals.sum(), reals.square().sum()])
        moments.add_(sums.to(moments.device))

    return add


def _deviation(moments) -> float:
    count, total, square = moments.tolist()
    if not count:
        return 1.0
    mean = total / count
    return max(0.0, square / count - mean**2) ** 0.5 or 1.0
