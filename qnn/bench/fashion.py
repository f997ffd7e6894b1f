"""A small network for Fashion-MNIST, trained on the spot: a residual block and depthwise layers."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qnn.nn.data import Dataset
from qnn.nn.training import Recipe, train
from qnn.nn.zoo import ZooModel

EPOCHS, RATE = 6, 3e-3  # 2,808 steps, a minute or two


class FashionCnn(nn.Module):
    """Images (batch, 1, 28, 28) to logits (batch, 10)."""

    def __init__(self):
        super().__init__()
        self.stem = _unit(1, 16, 3, 2)
        self.conv1 = _unit(16, 16, 3)
        self.conv2 = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16))
        self.deep1, self.wide1 = _unit(16, 16, 3, 1, 16), _unit(16, 32, 1)
        self.deep2, self.wide2 = _unit(32, 32, 3, 2, 32), _unit(32, 64, 1)
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.stem(x)
        x = F.relu(x + self.conv2(self.conv1(x)))
        x = self.wide2(self.deep2(self.wide1(self.deep1(x))))
        return self.fc(x.mean((2, 3)))


FASHION = ZooModel(FashionCnn, (0.0,), (1.0,), (1, 28, 28))


def trained_fashion_cnn(data: Dataset, seed: int = 0) -> FashionCnn:
    """A ``FashionCnn`` trained on the training images; the same weights for the same seed."""
    # Weights at the start come from torch's global numbers, which are the user's.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = FashionCnn()
    recipe = Recipe(epochs=EPOCHS, rate=RATE, seed=seed)
    train(model, data, recipe, device="cpu", mean=FASHION.mean, std=FASHION.std)
    return model


def _unit(inputs, outputs, kernel, stride=1, groups=1):
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())
