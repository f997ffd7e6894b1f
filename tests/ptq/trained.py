"""Small networks trained in a second, as random weights do not tell good rounding from bad."""

from copy import deepcopy
from functools import lru_cache

import torch
from torch import Tensor, nn

from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.ptq.calibrated import Calibrated, calibrated

CLASSES = 6


class Classifier(nn.Module):
    """A residual sum, BatchNorm, a grouped convolution and a head."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.inner = nn.Conv2d(8, 8, 3, padding=1)
        self.grouped = nn.Conv2d(8, 12, 3, stride=2, groups=2)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.first(x).relu()
        x = (x + self.inner(x)).relu()
        return self.head(self.grouped(x).relu().mean((2, 3)))


def images_of(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy patterns (count, 2, 8, 8) and their classes."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(CLASSES, 2, 8, 8, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(CLASSES, (count,), generator=generator)
    noise = torch.randn(count, 2, 8, 8, generator=generator)
    return patterns[labels] + 2.5 * noise, labels


@lru_cache
def classifier() -> tuple[nn.Module, Tensor]:
    """A network that is right most of the time, and 300 images that it has not seen."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for step in range(120):
        x, labels = images_of(64, step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
    return model.eval().requires_grad_(False), images_of(300, 1000)[0]


@torch.no_grad()
def with_doubts(model: nn.Module, images: Tensor, margin: float) -> Tensor:
    """Those of ``images`` that ``model`` is sure of, and one between two each that it doubts.

    So there are images that activations of few bits decide otherwise, whichever release of PyTorch
    trained the model.

    Parameters
    ----------
    margin : of a doubt, how much greater its greatest logit is than any other; images that are
        not at least four times as sure are left out
    """
    model = deepcopy(model).double()

    def leads(images, answers):
        logits = model(images)
        others = logits.scatter(1, answers, -torch.inf).amax(1)
        return logits.gather(1, answers)[:, 0] - others

    images = images.double()
    answers = model(images).argmax(1, keepdim=True)
    sure = leads(images, answers) > 4 * margin
    images, answers = images[sure], answers[sure]
    other = images.roll(1, 0)
    apart = (answers != answers.roll(1, 0))[:, 0]
    near, far, wanted = images[apart], other[apart], answers[apart]
    for _ in range(40):
        middle = (near + far) / 2
        leading = (leads(middle, wanted) > margin)[:, None, None, None]
        near, far = torch.where(leading, middle, near), torch.where(leading, far, middle)
    return torch.cat([images, near]).float()


def calibrated_on(model: nn.Module, images: Tensor, bits=3, activation_bits=8) -> Calibrated:
    """What quantized networks of a model that takes one tensor of reals are built from."""
    graph = fuse(capture(model, images[:4]))
    return calibrated(graph, [(images,)], (None,), (bits, activation_bits), {}, warn=False)
