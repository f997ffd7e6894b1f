"""The digits network, trained in seconds: what ``qnn demo`` and many tests start from."""

import torch

from qnn.nn.data import Dataset, digits
from qnn.nn.model import QuantizedModel
from qnn.nn.training import Progress, Recipe, train
from qnn.nn.zoo import ZOO, DigitsCnn

# 22 steps per epoch on the 1437 training images.
# 1437 training images make 22 steps per epoch: enough steps in ten epochs, in seconds.
BATCH = 64


def trained_digits_cnn(
    data: Dataset | None = None, seed: int = 0, progress: Progress | None = None
) -> DigitsCnn:
    """A ``DigitsCnn`` trained on the digits' training part; the same weights for the same seed."""
    data = data or digits()
    entry = ZOO["digits_cnn"]
    # Weights at the start come from torch's global numbers, which are the user's.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DigitsCnn()
    recipe = Recipe(epochs=10, batch=BATCH, rate=1e-2, warm_up=0.3, seed=seed)
    train(model, data, recipe, progress=progress, device="cpu", mean=entry.mean, std=entry.std)
    return model


def train_on_grid(
    quantized: QuantizedModel,
    model: DigitsCnn,
    data: Dataset,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Let a quantized ``DigitsCnn`` learn what ``model`` answers, without labels, in place."""
    recipe = Recipe(epochs=4, batch=BATCH, seed=seed)
    train(quantized, data, recipe, teacher=model, progress=progress, device="cpu")
