"""What selects and moves values: slices, parts, orders of channels, crops and joined channels."""

from types import MappingProxyType

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import nn

from tests.blocks.parts import Called, called, conv, divisors, of_rank, same, shape_after


def _sliced(draw, shape):
    """Rows and columns from any first one to any last one, at any distance."""
    starts = [draw(st.integers(0, (size - 1) // 2)) for size in shape[1:]]
    stops = [
        draw(st.integers(first + 1, size)) for first, size in zip(starts, shape[1:], strict=True)
    ]
    steps = [draw(st.integers(1, 3)) for _ in starts]
    place = tuple(map(slice, starts, stops, steps))
    return Called(lambda x: x[(slice(None), slice(None), *place)])


def _channels(draw, shape):
    """Channels from any first one at any distance."""
    first, step = draw(st.integers(0, shape[0] - 1)), draw(st.integers(1, 3))
    return Called(lambda x: x[:, first::step])


def _chosen(draw, shape):
    wanted = [draw(st.integers(0, shape[0] - 1)) for _ in range(draw(st.integers(1, shape[0] + 1)))]
    index = torch.tensor(wanted)
    selections = (lambda x: x[:, wanted], lambda x: torch.index_select(x, 1, index))
    return Called(draw(st.sampled_from(selections)))


def _swapped_parts(draw, shape):
    """Parts of the channels, one of them computed on, in another order."""
    if shape[0] < 2:
        return None
    first = draw(st.integers(1, shape[0] - 1))
    branch = same(draw, (first, *shape[1:]), first)
    return Parted(first, branch)


class Parted(nn.Module):
    """Computes on the first channels and puts them behind the others."""

    def __init__(self, first: int, branch: nn.Module):
        super().__init__()
        self.first, self.branch = first, branch

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, other = x.split([self.first, x.shape[1] - self.first], 1)
        return torch.cat([other, self.branch(one)], 1)


def _shuffled(draw, shape):
    groups = draw(st.sampled_from(divisors(shape[0])))

    def shuffle(x):
        parts = x.reshape(len(x), groups, shape[0] // groups, *shape[1:])
        return parts.transpose(1, 2).reshape(x.shape)

    layer = Called(shuffle)
    return nn.Sequential(layer, conv(draw, shape)) if draw(st.booleans()) else layer


def _rolled(draw, shape):
    places = draw(st.integers(1, 3))
    return Called(lambda x: x.roll(places, 1))


def _stacked(draw, shape):
    axis = draw(st.integers(1, 2))
    return Called(lambda x: torch.stack([x, F.relu(x)], axis).flatten(1, 2))


def _focused(draw, shape):
    """Every second pixel of four, or of two, images one behind the other."""
    if any(size % 2 for size in shape[1:]):
        return None
    if len(shape) == 2:
        return Called(lambda x: torch.cat([x[..., ::2], x[..., 1::2]], 1))
    places = [(i, j) for j in (0, 1) for i in (0, 1)]
    return Called(lambda x: torch.cat([x[..., i::2, j::2] for i, j in places], 1))


def _branch_sum(draw, shape):
    parts = draw(st.integers(2, 3))
    layer = same(draw, shape, parts * shape[0])
    total = Called(lambda x: x.reshape(len(x), parts, shape[0], *shape[1:]).sum(1))
    return nn.Sequential(layer, total)


def _concatenated(draw, shape):
    branches = []
    for _ in range(draw(st.integers(1, 2))):
        branch = same(draw, shape, draw(st.sampled_from((1, 3, 8))))
        branches.append(nn.Sequential(branch, nn.ReLU()) if draw(st.booleans()) else branch)
    others = (
        nn.Identity(),
        of_rank(shape, nn.MaxPool1d, nn.MaxPool2d)(3, 1, 1),
        of_rank(shape, nn.AvgPool1d, nn.AvgPool2d)(3, 1, 1),
    )
    branches.append(draw(st.sampled_from(others)))
    return Called(lambda x, *parts: torch.cat(parts, 1), *branches)


def _zero_channels(draw, shape):
    before, behind = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    return Called(lambda x: F.pad(x, (0, 0) * (x.dim() - 2) + (before, behind)))


def _shortcut(draw, shape):
    """Every n-th pixel with zero channels around, added to a branch: option A of ResNets."""
    steps = tuple(draw(st.integers(1, 2)) for _ in shape[1:])
    more = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    place = (slice(None), slice(None), *(slice(None, None, step) for step in steps))
    short = Called(lambda x: F.pad(x[place], (0, 0) * (x.dim() - 2) + more))
    after = shape_after(short, shape)
    branch = conv(draw, shape, after[0], (0,) * len(steps), steps)
    if more == (0, 0) or shape_after(branch, shape) != after:
        return short
    return Called(lambda x, a, b: F.relu(a + b), short, branch)


def _cropped(draw, shape):
    if min(shape[1:]) < 3:
        return None
    pads = tuple(draw(st.integers(-1, 1)) for _ in range(2 * len(shape[1:])))
    return Called(lambda x: F.pad(x, pads))


KINDS = MappingProxyType(
    {
        "slice": _sliced,
        "channels": _channels,
        "chosen channels": _chosen,
        "swapped parts": _swapped_parts,
        "channel shuffle": _shuffled,
        "flipped channels": called(lambda x: x.flip(1)),
        "columns in reverse": called(lambda x: x.flip(-1)),
        "rolled channels": _rolled,
        "stack": _stacked,
        "focus": _focused,
        "sum of branches": _branch_sum,
        "concatenation": _concatenated,
        "zero channels": _zero_channels,
        "shortcut": _shortcut,
        "crop": _cropped,
        "repeated channel": called(lambda x: x[:, :1].repeat(1, 3, *(1 for _ in x.shape[2:]))),
        "expanded channel": called(lambda x: x[:, -1:].expand(-1, 3, *(-1 for _ in x.shape[2:]))),
    }
)
