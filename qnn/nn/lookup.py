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
        return _taken(self.table.to(torch.float32), _places(index, self.table, self.index.low))

    def learn(self, v: Tensor, result: QType) -> Tensor:
        """Results of the nearest indices to ``v``, in its dtype, with the function's own slopes."""
        index = self.index
        q = activation.learn_snap(v, index.low, index.high)
        return _Sloped.apply(q, self.table, self._slopes_of(result).to(v.device), index.low)

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
    def forward(ctx, q, table, slopes, low):
        places = _places(q, table, low)
        ctx.save_for_backward(places, slopes)
        return _taken(table.to(q.dtype), places)

    @staticmethod
    def backward(ctx, gradient):
        places, slopes = ctx.saved_tensors
        return _taken(slopes.to(gradient.dtype), places).mul_(gradient), None, None, None


def _places(q, table, low):
    """Where the entries of indices are among those of all channels, int32 of the shape of ``q``."""
    rows, entries = table.shape
    # One table for all channels is found at the same place for each.
    first = torch.arange(rows, dtype=torch.int32, device=q.device) * entries - low
    return q.to(torch.int32).add_(first[:, None, None])


def _taken(table, places):
    """The entries at these places, in the memory format of ``places``."""
    # Of a list in the order of memory: an index of four dimensions takes four times as long.
    last = places.is_contiguous(memory_format=torch.channels_last)
    ordered = places.permute(0, 2, 3, 1) if last else places
    taken = table.reshape(-1).index_select(0, ordered.reshape(-1)).view(ordered.shape)
    return taken.permute(0, 3, 1, 2) if last else taken
