"""An exponential moving average of the weights."""

import torch
from torch import Tensor

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
        groups: dict[torch.dtype, tuple[list, list]] = {}
        for name, tensor in self.live.items():
            olds, news = groups.setdefault(tensor.dtype, ([], []))
            olds.append(self.values[name])
            news.append(tensor)
        for olds, news in groups.values():
            torch._foreach_lerp_(olds, news, 1 - decay)

    def restore(self, values: dict[str, Tensor]) -> None:
        """Take back ``values``."""
        for name, tensor in values.items():
            self.values[name].copy_(tensor)
