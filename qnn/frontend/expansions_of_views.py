"""Calls that are read as simpler ones where their operands lie so: channels as a sequence, columns.

Each is a function of PyTorch with the arguments of the call's schema, as all expansions are.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.faults import require

# Columns or rows of a product, of which each is a product of tensors and a sum: attention over the
# places of a text line or of a small map, and not over those of an image.
MOST_COLUMNS = 64
MOST_PRODUCTS = 1 << 23  # of such a matrix: channels may be few where places are not
MOST_WEIGHTS = 1 << 22  # of a matrix that stands for a convolution, which few arrays have room for


def conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """A convolution along the channels of a vector: one with the matrix of all their weights."""
    count = x.shape[1:].numel()
    made = F.conv1d(x[:1], weight, None, stride, padding, dilation, groups).numel()
    require(
        count * made <= MOST_WEIGHTS,
        f"a matrix of at most {MOST_WEIGHTS:,} weights for a convolution along the channels of a "
        f"vector",
        f"{count:,} x {made:,}",
        "give the samples as a sequence of one channel, (batch, 1, length)",
    )
    # What it makes of each channel alone is a row of the matrix.
    each = torch.eye(count, dtype=x.dtype, device=x.device).reshape(count, *x.shape[1:])
    rows = F.conv1d(each, weight, None, stride, padding, dilation, groups)
    found = (x.reshape(-1, count) @ rows.flatten(1)).reshape(-1, *rows.shape[1:])
    return found if bias is None else found + bias[:, None]


def is_small(one: torch.Size, other: torch.Size) -> bool:
    """Whether a product of two computed matrices of such shapes has few columns or rows."""
    # A vector is one column, or one row.
    rows = one[-2] if len(one) > 1 else 1
    columns = other[-1] if len(other) > 1 else 1
    few = min(rows, columns) <= MOST_COLUMNS and rows * one[-1] * columns <= MOST_PRODUCTS
    return few and len(one) > 1 and len(other) > 1


def matmul(one: Tensor, other: Tensor) -> Tensor:
    """The product of two computed matrices, column by column, or row by row where these are fewer.

    Each is a sum of products, value by value.
    """
    if one.shape[-2] < other.shape[-1]:
        return matmul(other.mT, one.mT).mT
    columns = [(one * column.mT).sum(-1, keepdim=True) for column in other.split(1, dim=-1)]
    return columns[0] if len(columns) == 1 else torch.cat(columns, -1)


# Of vectors that a model lays out as sequences.
OF_VECTORS: Mapping[str, Callable[..., Tensor]] = {"aten.conv1d": conv1d}
# Of two operands that both are computed.
OF_TWO: Mapping[str, Callable[..., Tensor]] = {"aten.matmul": matmul, "aten.bmm": matmul}
