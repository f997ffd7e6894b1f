"""A float model and its data for command lines."""

from pathlib import Path

import numpy as np
from torch import nn

from tests.ptq.trained import classifier, images_of

MODEL = "tests.explore.factory:build"


def build() -> nn.Module:
    """The classifier, trained."""
    return classifier()[0]


def write_data(path: Path, seed: int = 2000) -> None:
    """300 images to choose by, and 200 with labels to test on."""
    inputs, labels = images_of(200, seed)
    train = classifier()[1]
    unknown = np.zeros(len(train), dtype=np.int64)
    unknown[:6] = range(6)
    np.savez(
        path, x_train=train.numpy(), y_train=unknown, x_test=inputs.numpy(), y_test=labels.numpy()
    )
