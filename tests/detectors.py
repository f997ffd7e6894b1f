"""Small detectors and other networks that end in a decoder, as people write them."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 3
ANCHORS = ((4.0, 6.0), (9.0, 5.0))


class TwoLevels(nn.Module):
    """A body with maps of strides 4 and 8, and a layer of ``outputs`` channels on each."""

    def __init__(self, outputs: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.down = nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU())
        self.heads = nn.ModuleList(nn.Conv2d(8, outputs, 1) for _ in range(2))
        self.strides = (4, 8)

    def levels(self, x: Tensor) -> list[Tensor]:
        """What the layers give of each map."""
        y = self.body(x)
        return [head(each) for head, each in zip(self.heads, (y, self.down(y)), strict=True)]


class Anchored(TwoLevels):
    """Several boxes at each place, by the sizes of anchors."""

    def __init__(self):
        super().__init__(len(ANCHORS) * (5 + CLASSES))
        self.register_buffer("anchors", torch.tensor(ANCHORS))


def grid_of(y: Tensor) -> Tensor:
    """The column and row of each place, (1, 1, height, width, 2)."""
    rows, columns = torch.meshgrid(
        torch.arange(y.shape[2]), torch.arange(y.shape[3]), indexing="ij"
    )
    return torch.stack([columns, rows], -1).float()[None, None]


class YoloV3(Anchored):
    """Sigmoids of centres, powers of sizes."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, boxes, 5 + classes)."""
        found = []
        for y, stride in zip(self.levels(x), self.strides, strict=True):
            n, _, h, w = y.shape
            y = y.view(n, len(ANCHORS), -1, h, w).permute(0, 1, 3, 4, 2).contiguous()
            xy = (torch.sigmoid(y[..., :2]) + grid_of(y.permute(0, 4, 2, 3, 1))) * stride
            wh = torch.exp(y[..., 2:4]) * self.anchors.view(1, -1, 1, 1, 2)
            found.append(torch.cat([xy, wh, torch.sigmoid(y[..., 4:])], -1).view(n, -1, 8))
        return torch.cat(found, 1)


class YoloV5(Anchored):
    """Anchors, and sizes by squares; the decoded boxes and the maps, as in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, boxes, 5 + classes)."""
        found = []
        for y, stride in zip(self.levels(x), self.strides, strict=True):
            n, _, h, w = y.shape
            grid = grid_of(y)
            y = y.view(n, len(ANCHORS), 5 + CLASSES, h, w).permute(0, 1, 3, 4, 2).contiguous()
            xy, wh, conf = y.sigmoid().split((2, 2, CLASSES + 1), 4)
            xy = (xy * 2 - 0.5 + grid) * stride
            wh = (wh * 2) ** 2 * self.anchors.view(1, -1, 1, 1, 2).expand(1, -1, h, w, 2)
            found.append(torch.cat((xy, wh, conf), 4).view(n, -1, 5 + CLASSES))
        return torch.cat(found, 1)


class YoloV8(TwoLevels):
    """Means of softmaxes over distances, by a layer of constants, from points without anchors."""

    bins = 4

    def __init__(self):
        super().__init__(4 * self.bins + CLASSES)
        self.dfl = nn.Conv2d(self.bins, 1, 1, bias=False).requires_grad_(False)
        self.dfl.weight.data[:] = torch.arange(float(self.bins)).view(1, -1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 4 + classes, boxes)."""
        levels = self.levels(x)
        points = [grid_of(y).reshape(-1, 2) + 0.5 for y in levels]
        strides = [torch.full((len(p), 1), float(s)) for p, s in zip(points, (4, 8), strict=True)]
        points, strides = torch.cat(points).mT, torch.cat(strides).mT
        joined = torch.cat([y.view(len(x), 4 * self.bins + CLASSES, -1) for y in levels], 2)
        box, scores = joined.split((4 * self.bins, CLASSES), 1)
        n, _, boxes = box.shape
        box = self.dfl(box.view(n, 4, self.bins, boxes).transpose(2, 1).softmax(1))
        low, high = box.view(n, 4, boxes).chunk(2, 1)
        low, high = points.unsqueeze(0) - low, points.unsqueeze(0) + high
        boxes = torch.cat(((low + high) / 2, high - low), 1) * strides
        return torch.cat((boxes, scores.sigmoid()), 1)


class Ssd(TwoLevels):
    """Priors with variances, and probabilities of classes beside the boxes."""

    def __init__(self):
        super().__init__(len(ANCHORS) * (4 + CLASSES))
        sizes, places = torch.tensor(ANCHORS), 16 + 4
        centres = torch.rand(places * 2, 2, generator=torch.Generator().manual_seed(2)) * 16
        self.register_buffer("priors", torch.cat([centres, sizes.repeat(places, 1)], 1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Corners of boxes (batch, boxes, 4), and probabilities (batch, boxes, classes)."""
        found = [y.permute(0, 2, 3, 1).reshape(len(x), -1, 4 + CLASSES) for y in self.levels(x)]
        found = torch.cat(found, 1)
        place, sizes = self.priors[:, :2], self.priors[:, 2:]
        centre = place + found[..., :2] * 0.1 * sizes
        size = sizes * torch.exp(found[..., 2:4] * 0.2)
        boxes = torch.cat([centre - size / 2, centre + size / 2], -1)
        return {"boxes": boxes, "scores": F.softmax(found[..., 4:], -1)}


class Retina(TwoLevels):
    """Deltas of anchors, by columns that are taken with steps."""

    def __init__(self):
        super().__init__(4 + CLASSES)
        places = torch.rand(20, 4, generator=torch.Generator().manual_seed(3)) * 8 + 4
        self.register_buffer("places", places)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Corners of boxes (batch, boxes, 4), and scores (batch, boxes, classes)."""
        found = torch.cat([y.flatten(2).mT for y in self.levels(x)], 1)
        dx, dy, dw, dh = found[..., :4].unbind(-1)
        x0, y0, w, h = self.places.unbind(-1)
        dw, dh = dw.clamp(max=4.135), dh.clamp(max=4.135)
        # As in torchvision: a grid of one axis, with those of two around it.
        corner = torch.stack([dx * w + x0, dy * h + y0, dw.exp() * w, dh.exp() * h], -1)
        boxes = (corner + self.places * 0.5).clamp(0, 32)
        return boxes, found[..., 4:].sigmoid()


class Fcos(TwoLevels):
    """Distances from points, and scores that the centre weighs."""

    def __init__(self):
        super().__init__(5 + CLASSES)

    def forward(self, x: Tensor) -> list[Tensor]:
        """For each level boxes (batch, boxes, 4), scores (batch, boxes, classes)."""
        found = []
        for y, stride in zip(self.levels(x), self.strides, strict=True):
            points = (grid_of(y).reshape(-1, 2) + 0.5) * stride
            y = y.flatten(2).mT
            reach = F.relu(y[..., :4]) * stride
            low, high = points - reach[..., :2], points + reach[..., 2:]
            scores = (y[..., 5:].sigmoid() * y[..., 4:5].sigmoid()).sqrt()
            found += [torch.cat([low, high], -1), scores]
        return found


DETECTORS: dict[str, Callable[[], nn.Module]] = {
    "YOLOv3": YoloV3,
    "YOLOv5": YoloV5,
    "YOLOv8": YoloV8,
    "SSD": Ssd,
    "RetinaNet": Retina,
    "FCOS": Fcos,
}


def detector(name: str) -> nn.Module:
    """A detector of images (3, 16, 16) in evaluation, the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DETECTORS[name]().eval()
