"""Adam for one vector, whose whole state is tensors by name."""

from dataclasses import dataclass

import torch
from torch import Tensor

# As the paper and torch have it: far below any gradient's size, it only keeps 0 / 0 from happening.
EPSILON = 1e-8


@dataclass(eq=False)
class Adam:
    """A vector that learns.

    Source
    ------
    Kingma and Ba, arXiv:1412.6980, algorithm 1; decoupled weight decay is left out.
    """

    value: Tensor
    mean: Tensor
    square: Tensor
    betas: tuple[float, float] = (0.9, 0.999)
    count: int = 0

    @staticmethod
    def of(value: Tensor, betas: tuple[float, float] = (0.9, 0.999)) -> "Adam":
        """Adam before its first step; ``value`` changes in place from now on."""
        return Adam(value, torch.zeros_like(value), torch.zeros_like(value), betas)

    @torch.no_grad()
    def step(self, gradient: Tensor, rate: float) -> None:
        """Move against ``gradient``, by about ``rate``."""
        # torch.optim.Adam would do, but its state is keyed by parameters; a checkpoint needs names.
        self.count += 1
        first, second = self.betas
        self.mean.lerp_(gradient, 1 - first)
        self.square.lerp_(gradient.square(), 1 - second)
        # Both means start at 0; dividing by 1 - beta**count takes that bias out, as section 3
        # derives.
        size = (self.square / (1 - second**self.count)).sqrt_().add_(EPSILON)
        self.value.addcdiv_(self.mean, size, value=-rate / (1 - first**self.count))

    def tensors(self, prefix: str) -> dict[str, Tensor]:
        """The state, by name."""
        return {
            f"{prefix}.value": self.value,
            f"{prefix}.mean": self.mean,
            f"{prefix}.square": self.square,
            f"{prefix}.count": torch.tensor(self.count),
        }

    def restore(self, prefix: str, tensors: dict[str, Tensor]) -> None:
        """Restore the state that ``tensors`` gave."""
        for name in ("value", "mean", "square"):
            getattr(self, name).copy_(tensors[f"{prefix}.{name}"])
        self.count = int(tensors[f"{prefix}.count"])
