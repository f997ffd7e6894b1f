"""The digits network, trained in seconds: what ``qnn demo`` and many tests start from."""

import torch

from qnn.nn.data import Dataset, digits
from qnn.nn.preprocess import to_reals
from qnn.nn.training import Progress, Recipe, train
from qnn.nn.zoo import ZOO, DigitsCnn


def trained_digits_cnn(
    data: Dataset | None = None, seed: int = 0, progress: Progress | None = None
) -> DigitsCnn:
    """A ``DigitsCnn`` trained on the digits' training part; the same weights for the same seed."""
    data = data or digits()
    entry = ZOO["digits_cnn"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DigitsCnn()
    train(
        model,
        to_reals(data.x_train, entry.mean, entry.std),
        data.y_train,
        Recipe(seed=seed, weight_bits=3),
        progress,
    )
    return model
