"""The shared folder's CIFAR-10 files, as tests take them."""

from pathlib import Path

from torch import Tensor

from qnn.bench import shared


def cifar_test(folder: Path) -> tuple[Tensor, Tensor]:
    """The 10,000 test images and their labels, in the official order."""
    return shared.cifar10_test(folder)


def cifar_train(folder: Path, part: int = 0) -> tuple[Tensor, Tensor]:
    """One of five parts of 10,000 training images, with labels."""
    return shared.cifar10_train(folder, [part])
