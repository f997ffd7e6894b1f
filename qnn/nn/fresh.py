"""Whether a model has trained weights: of random ones, every number that follows means nothing."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from qnn.errors import ModelError

# A sum over n uniform values strays from its mean by more than this once in 16,000 draws.
STRAY = 4.0  # standard deviations
LEAST = 64  # weights, below which chance alone may look uniform


def check_values(model: nn.Module, name: str) -> None:
    """Require every parameter and buffer of a model to have values.

    Raises
    ------
    ModelError
        One is on device 'meta', or of a lazy module that has not run.
    """
    for key, tensor in model.state_dict(keep_vars=True).items():
        # A module's extra state may be anything.
        if isinstance(tensor, Tensor) and (is_lazy(tensor) or tensor.is_meta):
            raise ModelError(
                f"model '{name}' needs values for its weights, but '{key}' has none yet; build it "
                f"on the CPU, and call a lazy module once"
            )


def differing(model: nn.Module, other: nn.Module) -> str | None:
    """The first parameter or buffer in which two models differ; None if they are equal."""
    others = other.state_dict()
    for name, tensor in model.state_dict().items():
        # Of another shape where the other model lacks it, which differs as well.
        if isinstance(tensor, Tensor) and not torch.equal(tensor, others.get(name, tensor[None])):
            return name
    return None


@torch.no_grad()
def looks_untrained(model: nn.Module) -> bool:
    """Whether weights are as PyTorch's layers begin.

    Normalisations that have running statistics then have those of no data; of networks without
    them, all weights are spread evenly up to one over the root of a sum's products.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if norms:
        return all(bool((m.running_mean == 0).all() & (m.running_var == 1).all()) for m in norms)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    shares = [_share(layer.weight) for layer in layers]
    values = torch.cat(shares) if shares else torch.zeros(0)
    if len(values) < LEAST or float(values.max()) > 1 + 1e-6:
        return False
    # Squares of uniform values from -1 to 1 have mean 1/3 and variance 4/45.
    spread = (4 / 45 / len(values)) ** 0.5
    return abs(float(values.square().mean()) - 1 / 3) < STRAY * spread


def _share(weight):
    """Magnitudes as shares of the greatest that PyTorch's initialisation draws."""
    return weight.float().abs().flatten() * weight[0].numel() ** 0.5
