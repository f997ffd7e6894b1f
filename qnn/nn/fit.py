"""A float classifier learns from images that fit in memory: the training that ``qnn demo`` needs."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn.errors import ModelError

BATCH = 64
RATE = 5e-3  # highest learning rate of the one cycle
DECAY = 1e-3


def fit(
    build: Callable[[], nn.Module],
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> nn.Module:
    """What ``build`` gives, trained with AdamW over one cycle of the learning rate.

    Parameters
    ----------
    images, labels : (count, channels, height, width) float, (count,) integers
    epochs, seed : the same seed gives the same weights on the same machine
    progress : called with (epochs done, epochs in all)

    Raises
    ------
    ModelError
        There are no images, or not one label an image.
    """
    if not len(images) or len(images) != len(labels):
        raise ModelError(
            f"training needs images and one label for each, not {len(images)} images and "
            f"{len(labels)} labels; give both of one set"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build().train()
        steps = epochs * -(-len(images) // BATCH)
        optimizer = torch.optim.AdamW(model.parameters(), weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for epoch in range(epochs):
            for chosen in torch.randperm(len(images)).split(BATCH):
                optimizer.zero_grad()
                F.cross_entropy(model(images[chosen]), labels[chosen]).backward()
                optimizer.step()
                schedule.step()
            if progress is not None:
                progress(epoch + 1, epochs)
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Percent of ``images`` whose largest logit is the label's."""
    hits = sum(
        int((model(part).argmax(1) == truth).sum())
        for part, truth in zip(images.split(256), labels.split(256), strict=True)
    )
    return 100 * hits / len(labels)
