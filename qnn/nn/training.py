"""Training of a float classifier on labelled images, reproducible from a seed."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Progress = Callable[[int, int], None]  # epochs done, epochs in all


@dataclass(frozen=True)
class Recipe:
    """Adam with one cosine-shaped rise and fall of the learning rate."""

    epochs: int = 12
    batch: int = 64
    rate: float = 1e-2
    seed: int = 0


def train(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
) -> None:
    """Train ``model`` in place and leave it in evaluation mode.

    Parameters
    ----------
    x : what the model takes, (count, ...) float
    y : (count,) int64 labels
    """
    recipe = recipe or Recipe()
    generator = torch.Generator().manual_seed(recipe.seed)
    steps = -(-len(x) // recipe.batch)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=recipe.rate, total_steps=recipe.epochs * steps
    )
    model.train()
    for epoch in range(recipe.epochs):
        for chosen in torch.randperm(len(x), generator=generator).split(recipe.batch):
            if len(chosen) == 1:
                continue  # BatchNorm needs two images
            optimizer.zero_grad()
            F.cross_entropy(model(x[chosen]), y[chosen]).backward()
            optimizer.step()
            schedule.step()
        if progress is not None:
            progress(epoch + 1, recipe.epochs)
    model.eval()


@torch.no_grad()
def accuracy(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, batch: int = 500) -> float:
    """Share of images whose greatest output is their label, 0 to 1."""
    parts = zip(x.split(batch), y.split(batch), strict=True)
    right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in parts)
    return right / len(x)
