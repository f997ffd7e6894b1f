"""An exponential moving average of the weights."""

import torch
from torch import Tensor

# As in TensorFlow's ExponentialMovingAverage, (1 + step) / (10 + step): weights at the start are
# forgotten in the first hundred steps, even with a decay that remembers thousands.
WARM = 10  # updates after which the decay is about half of what it can be


class Average:
    """Averages that follow ``live`` tensors; early on they follow faster.

    Parameters
    ----------
    live : tensors by name, which training changes in place
    decay : share that each update leaves, from 0 to 1
    """

    def __init__(self, live: dict[str, Tensor], decay: float):
        self.live, self.decay = live, decay
        self.values = {name: tensor.clone() for name, tensor in live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the values after update ``step``."""
        decay = min(self.decay, (1 + step) / (WARM + step))
        # The fused operation takes one type at a time: one launch for all float32, one for
        # counters.
        groups: dict[torch.dtype, tuple[list, list]] = {}
        for name, tensor in self.live.items():
            olds, news = groups.setdefault(tensor.dtype, ([], []))
            olds.append(self.values[name])
            news.append(tensor)
        for olds, news in groups.values():
            torch._foreach_lerp_(olds, news, 1 - decay)

    def restore(self, values: dict[str, Tensor]) -> None:
        """Restore the averages ``values``."""
        for name, tensor in values.items():
            self.values[name].copy_(tensor)
