"""Functions of one grid that take a number of terms for each output channel, too."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import torch
from torch import Tensor

Terms = int | tuple[int, ...]  # of all output channels, or one number for each
Function = TypeVar("Function", bound=Callable)


def most_terms(terms: Terms) -> int:
    """The terms of the channel that has most."""
    return terms if isinstance(terms, int) else max(terms)


def by_terms(function: Function) -> Function:
    """``function(w, exponent, bits, terms, ...)``, with channels of equal terms taken together.

    All its tensors have the output channels as their first dimension. So have its results, but
    codes, int8, have terms before: zeros fill those that a channel has not.
    """

    @wraps(function)
    def by_channel(w, exponent, bits, terms=1, *more, **named):
        if isinstance(terms, int):
            return function(w, exponent, bits, terms, *more, **named)
        rows = [(k, _rows(terms, k).to(w.device)) for k in sorted(set(terms))]
        found = [
            function(
                w[chosen],
                exponent[chosen],
                bits,
                k,
                *(_chosen(each, chosen) for each in more),
                **{name: _chosen(each, chosen) for name, each in named.items()},
            )
            for k, chosen in rows
        ]
        order = torch.cat([chosen for _, chosen in rows]).argsort()
        if isinstance(found[0], tuple):
            return tuple(_joined(parts, order) for parts in zip(*found, strict=True))
        return _joined(found, order)

    return by_channel


def _rows(terms, count):
    return torch.tensor([row for row, k in enumerate(terms) if k == count])


def _chosen(value, rows):
    return value[rows] if isinstance(value, Tensor) else value


def _joined(parts, order):
    if parts[0].dtype != torch.int8:
        return torch.cat(parts)[order]
    most = max(len(part) for part in parts)
    whole = [torch.cat([part, part.new_zeros(most - len(part), *part.shape[1:])]) for part in parts]
    return torch.cat(whole, 1)[:, order]
