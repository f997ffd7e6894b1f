"""Networks for the campaign: some that are taken, and some that must not end it."""

import os
import time

import torch
from torch import nn


def taken():
    """A network that is taken."""
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())


@torch.no_grad()
def cancels():
    """A network of two channels that are nearly the same, of whose difference little is left."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 1, 1))
    model[0].weight[1] = model[0].weight[0] * 1.003
    model[0].bias.zero_()
    model[2].weight.copy_(torch.tensor([1.0, -1.0]).reshape(1, 2, 1, 1))
    model[2].bias.zero_()
    return model


class Lacking(nn.Module):
    """A network that sorts, which no integers of shifts and adds can."""

    def forward(self, x):
        return torch.sort(x, 1).values


def prints():
    """A network whose factory writes to standard output."""
    print("not a line of ours")
    return taken()


def hangs():
    """A factory that never ends."""
    time.sleep(3600)


def hoards():
    """A factory that wants more memory than it may have."""
    return nn.Linear(1 << 20, 1 << 20)


def dies():
    """A factory that ends its process."""
    os._exit(7)
