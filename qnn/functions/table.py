"""Tables of a function of one variable: its entries, their slopes, and what they tell of it."""

from functools import cache

import torch
from torch import Tensor

from qnn.functions.elementwise import Elementwise
from qnn.quant import activation
from qnn.quant.qtype import QType

# Where a function is smooth, finer steps change no activation by more than its neighbours differ.
INDEX_BITS = 12  # of a table at most


def entries(function: Elementwise, index: QType, result: QType) -> Tensor:
    """What the function gives for each index, in integers of ``result``.

    Computed in float64, rounded half up and clamped. Where the function has no value, as the root
    of a negative number, the entry is that of the nearest index where it has one; 0 if none has.

    Returns
    -------
    (1 or channels, 2**index.bits) int32, from the least index to the greatest
    """
    values = _of_rows(function, _reals(index))
    filled = torch.stack([_filled(row) for row in values])
    return activation.encode(filled, result).to(torch.int32)


def slopes(function: Elementwise, index: QType, result: QType) -> Tensor:
    """The derivative at each entry, in steps of ``result`` for a step of ``index``.

    It is 0 where the entry is clamped to the type, and where the function has no slope.

    Returns
    -------
    (1 or channels, 2**index.bits) float32
    """
    with torch.enable_grad():
        rows = _reals(index).expand(function.channels or 1, -1).clone().requires_grad_()
        values = _of_rows(function, rows)
        # A constant, as of rounding to 0 everywhere, hangs on nothing.
        made = torch.autograd.grad(values.sum(), rows)[0] if values.requires_grad else rows * 0
    low, high = result.low * result.scale, result.high * result.scale
    inside = (values >= low) & (values <= high) & made.isfinite()
    steps = 2.0 ** (result.exponent - index.exponent)
    return torch.where(inside, made * steps, 0.0).detach().to(torch.float32)


def is_never_negative(function: Elementwise, of_negative: bool) -> bool:
    """Whether no result is negative, as far as samples of its variable tell.

    ``of_negative`` says whether the variable may be negative itself.
    """
    found = _of_rows(function, _samples()[_samples() >= (-float("inf") if of_negative else 0)])
    return bool((found.nan_to_num(0.0) >= 0).all())


def is_rising(function: Elementwise) -> bool:
    """Whether a greater variable never gives a smaller result, as far as samples tell."""
    found = _of_rows(function, _samples())
    return bool(found.isfinite().all() and (found.diff(dim=1) >= 0).all())


def _of_rows(function, x):
    """Values for (rows, count) or (count,) reals, (1 or channels, count) float64."""
    rows = x if x.dim() == 2 else x.expand(function.channels or 1, -1)
    # Channels stand where images have them, and what is tabulated along a row of pixels.
    return function.raw(rows[None, :, None]).double()[0, :, 0]


def _reals(index):
    return torch.arange(index.low, index.high + 1, dtype=torch.float64) * index.scale


def _filled(row):
    known = (~row.isnan()).nonzero().flatten()
    if not len(known):
        return torch.zeros_like(row)
    places = torch.arange(len(row))
    behind = torch.searchsorted(known, places).clamp(max=len(known) - 1)
    before = (behind - 1).clamp(min=0)
    # Of two that are as near, the lower one.
    nearer = (places - known[before]).abs() <= (known[behind] - places).abs()
    return row[torch.where(nearer, known[before], known[behind])]


@cache
def _samples():
    """Reals in ascending order: every 1/64 up to 32, and eight to an octave up to 2**20."""
    fine = torch.arange(-2048, 2049, dtype=torch.float64) / 64
    octaves = torch.arange(-160, 161, dtype=torch.float64).div(8).exp2()
    return torch.cat([fine, octaves, -octaves]).unique()
