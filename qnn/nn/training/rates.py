"""The optimizer and its learning rate at every step."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from qnn.nn.training.recipe import Recipe

EXPONENTS = ("learned_exponents.", ".log_scale")  # in names of what learns an exponent
LATENTS = ".estimator."  # in names of what takes the place of weights: decay would choose codes


def rate_at(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate of update ``step`` of ``steps``."""
    rise = round(recipe.warm_up * steps)
    if step < rise:
        # From step 0 on above 0: a first step of no size would be wasted.
        return recipe.rate * (step + 1) / rise
    if recipe.schedule == "cosine":
        return recipe.rate * (1 + math.cos(math.pi * (step - rise) / (steps - rise))) / 2
    if recipe.schedule == "halving":
        return recipe.rate * 0.5 ** (step // recipe.half_life)
    return recipe.rate


def optimizer_for(
    named: Iterable[tuple[str, nn.Parameter]],
    recipe: Recipe,
    on_grid: bool = False,
    sizes: Mapping[nn.Parameter, float] | None = None,
) -> torch.optim.Optimizer:
    """The recipe's optimizer; each group has its ``scale``, a factor of the rate.

    Parameters
    ----------
    on_grid : whether weights are in units of their grid, and have their own rate
    sizes : of biases and BatchNorm's parameters, which their rates are in units of; None: 1
    """
    weights, latents, vectors, exponents = [], [], {}, []
    for name, parameter in named:
        if any(part in name for part in EXPONENTS):
            exponents.append(parameter)
        elif LATENTS in name:
            latents.append(parameter)
        elif parameter.dim() > 1:
            weights.append(parameter)
        else:
            size = (sizes or {}).get(parameter, 1.0)
            vectors.setdefault(size, []).append(parameter)
    scale = recipe.grid_rate if on_grid else 1.0
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay, "scale": scale},
        {"params": latents, "weight_decay": 0.0, "scale": scale},
        # Decay of biases and BatchNorm would pull activations, not complexity; He et al. leave
        # them out.
        *(
            {"params": held, "weight_decay": 0.0, "scale": recipe.norm_rate * size}
            for size, held in vectors.items()
        ),
        {"params": exponents, "weight_decay": 0.0, "scale": recipe.exponent_rate},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "sgd":
        # Fused: one launch for all parameters.
        return torch.optim.SGD(groups, recipe.rate, recipe.momentum, fused=True)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, recipe.rate, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimizer remembers: tensors named by parameter and kind."""
    return {
        f"{index}.{name}": tensor
        for index, kept in optimizer.state_dict()["state"].items()
        for name, tensor in kept.items()
        if tensor is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Tensor]) -> None:
    """Take back what ``optimizer_state`` gave."""
    kept: dict[int, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        index, name = key.split(".")
        kept.setdefault(int(index), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": kept, "param_groups": groups})
    for parameter, held in optimizer.state.items():
        for name, tensor in held.items():
            # Counters are scalars, and stay as they are.
            if tensor.shape == parameter.shape:  # fused updates need the parameter's memory format
                held[name] = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
