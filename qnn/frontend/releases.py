"""Where releases of PyTorch differ in what they trace: made equal here, for all that reads it."""

import re

from torch import Tensor, lstm
from torch.overrides import TorchFunctionMode

GETATTR = re.compile(r"getattr\(([^()]*), '([^']*)'\)")  # innermost first


def plain_path(path: str) -> str:
    """A layer's path as ``named_modules`` has it.

    Strict exports of torch 2.6 write ``getattr(L['self'], '1').conv`` for ``1.conv``.
    """
    while GETATTR.search(path):
        path = GETATTR.sub(r"\1.\2", path)
    return re.sub(r"^L\['\w+'\]\.?", "", path)


class SameTraces(TorchFunctionMode):
    """Gives results that are traced the shapes that they have when they are computed.

    torch 2.6 traces the states that an LSTM ends with as if they had an axis more.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        results = func(*args, **(kwargs or {}))
        if func is not lstm:
            return results
        every, *ended = results
        # Of packed sequences the second operand is how many there are at each step.
        begun = args[1] if isinstance(args[1], tuple | list) else args[2]
        return every, *(_of_shape(one, other) for one, other in zip(ended, begun, strict=True))


def _of_shape(ended: Tensor, begun: Tensor) -> Tensor:
    return ended if ended.shape == begun.shape else ended.reshape(begun.shape)
