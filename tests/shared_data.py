"""The shared folder's CIFAR-10 files, whose images are stored as differences."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def _images(delta: np.ndarray) -> Tensor:
    """Undo the differences along width, height and colour: uint8 (count, 3, 32, 32), exact."""
    x = delta.cumsum(3, dtype=np.uint8).cumsum(2, dtype=np.uint8)
    x[:, 0] += x[:, 1]
    x[:, 2] += x[:, 1]
    return torch.from_numpy(x)


def cifar_test(folder: Path) -> tuple[Tensor, Tensor]:
    """The 10,000 test images and their labels, in the official order."""
    with np.load(folder / "cifar10_test.npz") as file:
        return _images(file["x_delta"]), torch.from_numpy(file["y"].astype(np.int64))


def cifar_train(folder: Path, part: int = 0) -> tuple[Tensor, Tensor]:
    """One of five parts of 10,000 training images, with labels."""
    with np.load(folder / "cifar10_train.npz") as file:
        labels = file["y"][part * 10_000 : (part + 1) * 10_000]
        return _images(file[f"x_delta{part}"]), torch.from_numpy(labels.astype(np.int64))
