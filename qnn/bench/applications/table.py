"""The applications: for each a network, its data, its loss and the number that it is judged by."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn.bench import shared
from qnn.bench.applications import detection, networks, shapes
from qnn.tasks.measures import measured

SHAPES_TRAIN, SHAPES_TEST = 4_000, 500  # pictures
PIXELS = (0.5, 0.25)  # mean and deviation that images are normalised by


@dataclass(frozen=True, eq=False)
class ApplicationData:
    """Training and test samples, as the float network takes them.

    Members
    -------
    x_train, x_test : (count, ...) float32
    y_train, y_test : what the application's loss and score take, one entry a sample
    flips : whether a mirrored image shows the same
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: object
    flips: bool = False


@dataclass(frozen=True, eq=False)
class Application:
    """A network with a task, trained here.

    Members
    -------
    load : gives the samples; it gets the folder of data, which some do not need
    loss : of values and labels of a batch
    score : of values of all test samples, in percent
    measure : what the score is
    epochs, rate : of the float training
    """

    name: str
    build: Callable[[], nn.Module]
    load: Callable[[Path | None], ApplicationData]
    loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[np.ndarray, object], float]
    measure: str
    epochs: int
    rate: float = 3e-3


def _normalised(images: np.ndarray | Tensor) -> Tensor:
    mean, std = PIXELS
    return (torch.as_tensor(images).float() / 255 - mean) / std


def _shapes(wanted: Callable[[shapes.Pictures], tuple[Tensor, object]]) -> ApplicationData:
    train, test = (shapes.draw(n, seed) for seed, n in enumerate((SHAPES_TRAIN, SHAPES_TEST)))
    # The test set's labels are as the score takes them, which may be no tensor.
    return ApplicationData(
        _normalised(train.images), wanted(train)[0], _normalised(test.images), wanted(test)[1]
    )


def _of_pixels(pictures):
    labels = torch.from_numpy(pictures.pixels)
    return labels, labels


def _of_boxes(pictures):
    return detection.targets(pictures.boxes), pictures.boxes


def _cifar10(folder: Path | None) -> ApplicationData:
    folder = shared.needed(folder, "CIFAR-10")
    (x, y), (x_test, y_test) = shared.cifar10_train(folder), shared.cifar10_test(folder)
    return ApplicationData(_normalised(x), y, _normalised(x_test), y_test, flips=True)


def _keywords(folder: Path | None) -> ApplicationData:
    x, y = shared.tiny_kws(shared.needed(folder, "keywords"))
    # Coefficients are channels of a signal in time; every second sample is kept for the test.
    x = (x.float() - 128)[:, 0].transpose(1, 2) / 32
    return ApplicationData(x[::2].contiguous(), y[::2], x[1::2].contiguous(), y[1::2])


def _measure(name):
    def score(values, labels):
        return measured(values, np.asarray(labels))[1][name]

    return score


def _classifier(name, build, load, epochs) -> Application:
    return Application(
        name=name,
        build=build,
        load=load,
        loss=F.cross_entropy,
        score=_measure("accuracy"),
        measure="accuracy",
        epochs=epochs,
    )


APPLICATIONS = (
    Application(
        name="unet",
        build=partial(networks.UNet, width=8),
        load=lambda folder: _shapes(_of_pixels),
        loss=F.cross_entropy,
        score=_measure("mean_iou"),
        measure="mean IoU",
        epochs=10,
    ),
    Application(
        name="detector",
        build=networks.Detector,
        load=lambda folder: _shapes(_of_boxes),
        loss=detection.loss,
        score=detection.average_precision,
        measure="mean average precision at 0.5",
        epochs=12,
    ),
    _classifier("mobilenet_v3", networks.mobilenet_v3, _cifar10, epochs=2),
    _classifier("se_resnet", networks.se_resnet, _cifar10, epochs=2),
    _classifier("keyword_spotter", networks.keyword_spotter, _keywords, epochs=150),
)
