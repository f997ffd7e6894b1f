"""Lookup: a function of one variable behind a layer's sums, as a table."""

import torch
from torch import Tensor, nn

from qnn.functions.elementwise import Elementwise
from qnn.functions.table import entries, slopes
from qnn.nn.layer_plans import ConvPlan, MultiplyPlan
from qnn.quant import activation
from qnn.quant.qtype import QType


class Lookup(nn.Module):
    """The table of a function.

    Members
    -------
    exponent : of the index
    table : (1 or channels, 2**bits) int32, the results from the least index to the greatest
    """

    def __init__(self, function: Elementwise, bits: int):
        super().__init__()
        self.function, self.bits = function, bits
        self.register_buffer("exponent", torch.zeros((), dtype=torch.int64))
        shape = (function.channels or 1, 1 << bits)
        # Held, and not computed again: another machine's functions may differ in the last place.
        self.register_buffer("table", torch.zeros(shape, dtype=torch.int32))
        # Of no use in evaluation, so that they are computed when training first asks.
        self._slopes: tuple[tuple[QType, QType], Tensor] | None = None

    @property
    def index(self) -> QType:
        """The type of the index."""
        return QType(self.bits, True, int(self.exponent))

    @torch.no_grad()
    def fill(self, exponent: int, result: QType) -> None:
        """Take the exponent of the index, and compute the entries."""
        self.exponent.fill_(exponent)
        self.table.copy_(entries(self.function, self.index, result))

    def is_filled(self, result: QType) -> bool:
        """Whether the entries are those of the function, but for another machine's last place."""
        wanted = entries(self.function, self.index, result)
        # Rounding makes a difference in the last place of a function into one whole step.
        return bool(((self.table - wanted).abs() <= 1).all())

    def forward(self, index: Tensor) -> Tensor:
        """Results in float32, of indices (batch, channels, height, width) within their type."""
        return _taken(self.table.to(torch.float32), _places(index, self.index))

    def learn(self, v: Tensor, result: QType) -> Tensor:
        """Results of the nearest indices to ``v``, in its dtype, with the function's own slopes."""
        index = self.index
        q = activation.learn_snap(v, index.low, index.high)
        return _Sloped.apply(q, self.table, self._slopes_of(result).to(v.device), index)

    def _slopes_of(self, result):
        key = (self.index, result)
        if self._slopes is None or self._slopes[0] != key:
            self._slopes = key, slopes(self.function, *key)
        return self._slopes[1]


def lookup_of(plan: ConvPlan | MultiplyPlan) -> Lookup | None:
    """The table of a layer's function; None if it has none."""
    return None if plan.function is None else Lookup(plan.function, plan.index_bits)


class _Sloped(torch.autograd.Function):
    """Looks entries up, and passes the gradient times the slope at each of them."""

    @staticmethod
    def forward(ctx, q, table, slopes, index):
        places = _places(q, index)
        ctx.save_for_backward(places, slopes)
        return _taken(table.to(q.dtype), places)

    @staticmethod
    def backward(ctx, gradient):
        places, slopes = ctx.saved_tensors
        return gradient * _taken(slopes.to(gradient.dtype), places), None, None, None


def _places(q, index):
    return q.to(torch.int64) - index.low


def _taken(table, places):
    """Entries of one table for all channels, or of each channel's own."""
    if len(table) == 1:
        return table[0][places]
    return table[torch.arange(len(table), device=places.device)[:, None, None], places]
