"""Training of a float classifier on labelled images, reproducible from a seed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn.quant import pow2

Progress = Callable[[int, int], None]  # epochs done, epochs in all


@dataclass(frozen=True)
class Recipe:
    """Adam with one cosine-shaped rise and fall of the learning rate.

    With ``weight_bits``, each step sees the weights rounded to a power-of-two grid of so many
    bits, at a random scale: a network that learns so loses little when it is rounded for good.
    """

    epochs: int = 12
    batch: int = 64
    rate: float = 1e-2
    seed: int = 0
    weight_bits: int | None = None


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
            with _rounded(model, recipe.weight_bits, generator):
                F.cross_entropy(model(x[chosen]), y[chosen]).backward()
            optimizer.step()
            schedule.step()
        if progress is not None:
            progress(epoch + 1, recipe.epochs)
    model.eval()


@contextmanager
def _rounded(model: nn.Module, bits: int | None, generator: torch.Generator) -> Iterator[None]:
    """Weights on a grid inside the block, where their gradients are taken; the old ones after."""
    if bits is None:
        yield
        return
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    weights = [layer.weight.detach() for layer in layers]
    kept = [weight.clone() for weight in weights]
    for weight in weights:
        weight.copy_(_on_random_grid(weight, bits, generator))
    yield
    for weight, old in zip(weights, kept, strict=True):
        weight.copy_(old)


def _on_random_grid(weight, bits, generator):
    """Each output channel at a scale as BatchNorm might give it, its top level at or below."""
    outputs = len(weight)
    scale = torch.exp2(torch.rand(outputs, generator=generator, dtype=torch.float64))
    scale = scale.reshape(-1, *[1] * (weight.dim() - 1))
    scaled = weight.double() * scale
    exponent = torch.frexp(scaled.flatten(1).abs().amax(1))[1].long()
    exponent -= torch.randint(0, 2, (outputs,), generator=generator)
    return pow2.values(pow2.nearest(scaled, exponent, bits), exponent, bits) / scale


@torch.no_grad()
def accuracy(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, batch: int = 500) -> float:
    """Share of images whose greatest output is their label, 0 to 1."""
    parts = zip(x.split(batch), y.split(batch), strict=True)
    right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in parts)
    return right / len(x)
