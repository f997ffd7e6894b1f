"""ATen's calls that are read as several simpler ones: normalisations, norms and softmax.

Each expansion is a function of PyTorch with the arguments of the call's schema. It divides where a
function of one variable does it anyhow, so that sums stay exact integers.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from qnn.frontend.faults import require

# Values of 16 bits that a sum of 32 bits has room for, with three to spare for what is shifted.
MOST_SUMMED = 4000
Axes = int | Sequence[int] | None


def layer_norm(
    x: Tensor,
    shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """Values standardised over the last axes, times a weight and plus a bias of each place."""
    return _scaled(_standardised(x, _last(shape), eps), weight, bias)


def native_layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, None, None]:
    """The same as core ATen has it; statistics are training's."""
    return layer_norm(x, shape, weight, bias, eps), None, None


def rms_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Values over the root of their mean square along the last axes."""
    # PyTorch's own choice where none is given.
    least = torch.finfo(x.dtype).eps if eps is None else eps
    return _scaled(x * torch.rsqrt(_mean_square(x, _last(shape)) + least), weight, None)


def fused_rms_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, eps: float | None
) -> tuple[Tensor, None]:
    """The same as core ATen has it; statistics are training's."""
    return rms_norm(x, shape, weight, eps), None


def group_norm(
    x: Tensor,
    groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Values standardised over groups of channels and all of space."""
    grouped = x.reshape(x.shape[0], groups, -1, *x.shape[2:])
    found = _standardised(grouped, tuple(range(2, grouped.dim())), eps).reshape(x.shape)
    return _scaled(found, _of_channels(weight, x), _of_channels(bias, x))


def native_group_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    images: int,
    channels: int,
    area: int,
    groups: int,
    eps: float,
) -> tuple[Tensor, None, None]:
    """The same as core ATen has it; statistics are training's."""
    return group_norm(x, groups, weight, bias, eps), None, None


def instance_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """Each channel standardised over space, or by statistics of training."""
    # Those are constants, which the layer before it takes in.
    if not use_input_stats:
        return torch.batch_norm(x, weight, bias, mean, var, False, momentum, eps, cudnn_enabled)
    found = _standardised(x, tuple(range(2, x.dim())), eps)
    return _scaled(found, _of_channels(weight, x), _of_channels(bias, x))


def vector_norm(
    x: Tensor,
    order: float = 2,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """The norm over axes: the root of the sum of squares, or that of another power."""
    axes = _axes(x, dim)
    require(order != 0, "a norm of an order over 0", "one that counts values", "leave it out")
    # Of these orders no power has to be computed.
    if order == math.inf:
        return x.abs().amax(axes, keepdim)
    if order == 1:
        return x.abs().sum(axes, keepdim)
    if order == 2:
        found = _summed(x * x, axes).sqrt()
        return found if keepdim else found.squeeze(axes)
    return x.abs().pow(order).sum(axes, keepdim).pow(1 / order)


def norm(
    x: Tensor,
    order: float | None = None,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """The norm over axes by its older names; without an order that of squares."""
    return vector_norm(x, 2 if order is None else order, dim, keepdim)


def linalg_norm(x: Tensor, order: Any = None, dim: Axes = None, *rest: Any, **options: Any):
    """The norm over axes; of matrices, which two axes with an order are, that of their squares."""
    if order is not None and len(_axes(x, dim)) == 2:
        needs, do = "the norm of a vector, or 'fro' of a matrix", "flatten the matrix's axes"
        require(order == "fro", needs, f"order {order} of a matrix", do)
        order = 2
    return norm(x, order, dim, *rest, **options)


def var(
    x: Tensor,
    dim: Axes | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The variance over axes."""
    # One overload has no axes, and what follows in their place.
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    axes = _axes(x, dim)
    less = float(unbiased) if correction is None else correction
    count = _count(x, axes)
    require(count > less, f"more than {less:g} values for a variance", f"{count}", "keep more axes")
    centred = _centred(x, axes)
    found = _summed(centred * centred, axes) * (1 / (_count(x, axes) - less))
    return found if keepdim else found.squeeze(axes)


def std(x: Tensor, *arguments: Any, **options: Any) -> Tensor:
    """The root of the variance, whose arguments it has."""
    return var(x, *arguments, **options).sqrt()


def var_mean(x: Tensor, dim: Axes | bool = None, *arguments: Any, **options: Any):
    """The variance and the mean."""
    return var(x, dim, *arguments, **options), _mean(x, dim, *arguments, **options)


def std_mean(x: Tensor, dim: Axes | bool = None, *arguments: Any, **options: Any):
    """The standard deviation and the mean."""
    return std(x, dim, *arguments, **options), _mean(x, dim, *arguments, **options)


def softmax(x: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Powers of e over their sum; the greatest is 1, so that neither is ever out of range."""
    # Of one value there is nothing to choose.
    if x.shape[dim] == 1:
        return torch.ones_like(x)
    powers = (x - x.amax(dim, keepdim=True)).exp()
    return powers * powers.sum(dim, keepdim=True).reciprocal()


def log_softmax(x: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """The logarithm of ``softmax``."""
    # Of nothing over 0 no power is over 1, and their sum is at least that.
    below = x - x.amax(dim, keepdim=True)
    return below - below.exp().sum(dim, keepdim=True).log()


def logsumexp(x: Tensor, dim: Axes, keepdim: bool = False) -> Tensor:
    """The logarithm of a sum of powers of e."""
    axes = _axes(x, dim)
    greatest = x.amax(axes, keepdim=True)
    found = (x - greatest).exp().sum(axes, keepdim=True).log() + greatest
    return found if keepdim else found.squeeze(axes)


def cosine_similarity(one: Tensor, other: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The inner product over an axis, of vectors of length 1."""
    # Both before the product, whose values are then of one range for all images.
    # Of the axes of both together, as fewer are broadcast by their last ones.
    rank = max(one.dim(), other.dim())
    dim = dim % rank - rank
    unit = (x / vector_norm(x, 2, dim, True).clamp_min(eps) for x in (one, other))
    return (next(unit) * next(unit)).sum(dim)


def pairwise_distance(
    one: Tensor, other: Tensor, p: float = 2, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The norm of differences over the last axis."""
    return vector_norm(one - other + eps, p, -1, keepdim)


def _standardised(x, axes, eps):
    """Values without their mean, over the root of their variance."""
    # Before the square: the mean may be far greater than the deviation.
    centred = _centred(x, axes)
    return centred * torch.rsqrt(_mean_square(centred, axes) + eps)


def _centred(x, axes):
    """Values without their mean, whose division is that of one sum and not of each value in it."""
    return torch.sub(x, _summed(x, axes), alpha=1 / _count(x, axes))


def _mean_square(x, axes):
    # Not as a mean, whose division would be one of its own: this one joins the root's table.
    return _summed(x * x, axes) * (1 / _count(x, axes))


def _summed(x, axes):
    """The sum over axes, one after the other where so many values need more bits than there are."""
    if _count(x, axes) <= MOST_SUMMED:
        return x.sum(axes, keepdim=True)
    for axis in reversed(axes):
        x = x.sum(axis, keepdim=True)
    return x


def _count(x, axes):
    return math.prod(x.shape[axis] for axis in axes)


def _scaled(x, weight, bias):
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _of_channels(constant, x):
    return None if constant is None else constant.reshape(-1, *(1,) * (x.dim() - 2))


def _last(shape):
    return tuple(range(-len(shape), 0))


def _axes(x, dim):
    dims = range(x.dim()) if dim is None or dim == [] else [dim] if isinstance(dim, int) else dim
    return tuple(axis % x.dim() for axis in dims)


def _mean(x, dim, unbiased=True, keepdim=False, *, correction=None):
    return x.mean(_axes(x, None if isinstance(dim, bool) else dim), keepdim)


EXPANSIONS: Mapping[str, Callable[..., Any]] = {
    "aten.layer_norm": layer_norm,
    "aten.native_layer_norm": native_layer_norm,
    "aten.rms_norm": rms_norm,
    "aten._fused_rms_norm": fused_rms_norm,
    "aten.group_norm": group_norm,
    "aten.native_group_norm": native_group_norm,
    "aten.instance_norm": instance_norm,
    "aten.linalg_vector_norm": vector_norm,
    "aten.linalg_norm": linalg_norm,
    "aten.norm": norm,
    "aten.var": var,
    "aten.std": std,
    "aten.var_mean": var_mean,
    "aten.std_mean": std_mean,
    "aten.softmax": softmax,
    "aten._softmax": softmax,
    "aten._safe_softmax": softmax,
    "aten.log_softmax": log_softmax,
    "aten._log_softmax": log_softmax,
    "aten.logsumexp": logsumexp,
    "aten.cosine_similarity": cosine_similarity,
    "aten.pairwise_distance": pairwise_distance,
}
