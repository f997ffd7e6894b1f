"""Networks of usual kinds that have much of what cannot be taken; goldens name these lines."""

import torch
import torch.nn.functional as F
from torch import nn


class Attending(nn.Module):
    """A vision transformer's block behind its patches."""

    def __init__(self):
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 16, 4, 4), nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return self.head((x + self.mlp(x)).mean(1))


class Recurring(nn.Module):
    """A recurrent layer over the rows of an image."""

    def __init__(self):
        super().__init__()
        self.conv, self.rnn, self.head = nn.Conv2d(3, 1, 3), nn.GRU(6, 8), nn.Linear(8, 4)

    def forward(self, x):
        rows = self.conv(x).squeeze(1)
        return F.log_softmax(self.head(self.rnn(rows)[0][:, -1]), 1) + rows[:, 0, :4].cumprod(1)


class Detecting(nn.Module):
    """A detector's head, which gives boxes and scores by name."""

    def __init__(self):
        super().__init__()
        self.stem, self.act = nn.Conv2d(12, 8, 3), nn.SiLU()
        self.boxes, self.scores = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        parts = [x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
        y = self.act(self.stem(torch.cat(parts, 1)))
        boxes = self.boxes(y).permute(0, 2, 3, 1).reshape(len(x), -1, 4)
        scores = self.scores(y).flatten(2).softmax(1)
        return {"boxes": boxes.exp(), "scores": scores, "best": scores.topk(2)[1]}


class Pooling(nn.Module):
    """Poolings of unusual kinds."""

    def __init__(self):
        super().__init__()
        self.most, self.mean = nn.AdaptiveMaxPool2d(2), nn.AdaptiveAvgPool2d(3)
        self.cut = nn.AvgPool2d(3, 2, 1, count_include_pad=False)
        self.ceil = nn.AvgPool2d(3, 2, ceil_mode=True)
        self.power = nn.LPPool2d(2, 2)

    def forward(self, x):
        pooled = [self.most(x), self.mean(x), self.cut(x), self.ceil(x), self.power(x)]
        places = F.max_pool2d(x, 2, return_indices=True)
        return *pooled, x.amax((2, 3)), x.sum((2, 3)), places


class Arithmetic(nn.Module):
    """Operators in one forward, none of which is a layer's."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.full((3, 1, 1), 0.5))

    def forward(self, x):
        x = (x - self.mean) / 0.25
        x = x + 1.0 + x.mean((2, 3), keepdim=True)
        x = torch.where(x > 0, x, x * 0.1)[:, 1:, 2:]
        x = F.dropout(x, 0.5, training=True)
        x = F.pad(x, (1, -1), value=float("inf")) + torch.rand(2, 6, 8)
        return x.flip(3).norm(dim=1).double()


class Normed(nn.Module):
    """Normalisations, one of them by its batch's values."""

    def __init__(self):
        super().__init__()
        self.conv, self.group = nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8)
        self.batch = nn.BatchNorm2d(8, track_running_stats=False)

    def forward(self, x):
        return F.normalize(self.batch(self.group(self.conv(x))).flatten(1))


NETWORKS = {
    "attending": (Attending, (3, 48, 48)),  # of 144 places
    "recurring": (Recurring, (3, 8, 8)),
    "detecting": (Detecting, (3, 8, 8)),
    "pooling": (Pooling, (3, 8, 8)),
    "arithmetic": (Arithmetic, (3, 8, 8)),
    "normed": (Normed, (3, 8, 8)),
}
