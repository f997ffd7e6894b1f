"""Calls that are read as products and sums: running sums, products along an axis, distances.

Each is a function of PyTorch with the arguments of the call's schema, as all expansions are.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.expansions import vector_norm
from qnn.frontend.faults import require

MOST_FACTORS = 16  # along an axis: each is a layer, and rounds what those before it gave


def cumsum(x: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sums along an axis: a product with a triangle of ones."""
    count = x.shape[dim]
    triangle = torch.ones(count, count, dtype=x.dtype, device=x.device).triu()
    return (x.movedim(dim, -1) @ triangle).movedim(-1, dim)


def prod(x: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product along an axis of few values."""
    require(dim is not None, "an axis to multiply along", "all", "name it")
    needs, do = f"a product of at most {MOST_FACTORS} values", "sum logarithms"
    require(x.shape[dim] <= MOST_FACTORS, needs, f"{x.shape[dim]}", do)
    return reduce(torch.mul, x.split(1, dim) if keepdim else x.unbind(dim))


def col2im(
    x: Tensor,
    size: Sequence[int],
    kernel: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Tensor:
    """Windows added where they lie: a transposed convolution of a single 1 for each value."""
    places = kernel[0] * kernel[1]
    counts = [
        (size[n] + 2 * padding[n] - dilation[n] * (kernel[n] - 1) - 1) // stride[n] + 1
        for n in (0, 1)
    ]
    # What the last windows do not reach is zeros.
    beyond = [
        size[n] + 2 * padding[n] - dilation[n] * (kernel[n] - 1) - 1 - (counts[n] - 1) * stride[n]
        for n in (0, 1)
    ]
    channels = x.shape[1] // places
    one = torch.eye(places, dtype=x.dtype, device=x.device).reshape(places, 1, *kernel)
    windows = x.reshape(x.shape[0], x.shape[1], *counts)
    weight = one.repeat(channels, 1, 1, 1)
    return F.conv_transpose2d(windows, weight, None, stride, padding, beyond, channels, dilation)


def bilinear(one: Tensor, other: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A layer on the products of all values of two vectors."""
    results, _, values = weight.shape
    rows = one @ weight.permute(1, 0, 2).flatten(1)
    found = (rows.unflatten(-1, (results, values)) * other.unsqueeze(-2)).sum(-1)
    return found if bias is None else found + bias


def cdist(one: Tensor, other: Tensor, p: float = 2, compute_mode: int | None = None) -> Tensor:
    """Distances between the rows of two matrices."""
    return vector_norm(one.unsqueeze(-2) - other.unsqueeze(-3), p, -1)


def addcmul(x: Tensor, one: Tensor, other: Tensor, *, value: float = 1) -> Tensor:
    """A tensor and a multiple of a product."""
    return torch.add(x, one * other, alpha=value)


def addcdiv(x: Tensor, one: Tensor, other: Tensor, *, value: float = 1) -> Tensor:
    """A tensor and a multiple of a quotient."""
    return torch.add(x, one / other, alpha=value)


def lerp(x: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """What lies between two tensors, by a number or a tensor of shares."""
    return x + (end - x) * weight


PRODUCTS: Mapping[str, Callable[..., Tensor]] = {
    "aten.cumsum": cumsum,
    "aten.col2im": col2im,
    "aten.bilinear": bilinear,
    "aten.prod": prod,
    "aten.cdist": cdist,
    "aten._cdist_forward": cdist,
}
# Of several tensors alone: of one they are functions of each value.
OF_SEVERAL: Mapping[str, Callable[..., Tensor]] = {
    "aten.addcmul": addcmul,
    "aten.addcdiv": addcdiv,
    "aten.lerp": lerp,
}
