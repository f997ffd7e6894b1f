"""Layers of volumes as layers of images, whose channels are the frames of each channel.

A convolution over frames has a weight for each pair of frames of its operand and result, most of
them zero: what it costs in multiplications by zero it saves in copies of frames.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.faults import require

VOLUME = 5  # axes: batch, channels, depth, height, width


def conv3d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] | str = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Tensor:
    """A convolution of frames to frames."""
    down, *stride = _triple(stride)
    apart, *dilation = _triple(dilation)
    taps, depth = weight.shape[2], x.shape[2]
    if isinstance(padding, str):
        # As PyTorch: the odd frame of an even kernel lies behind.
        around = apart * (taps - 1) if padding == "same" else 0
        before, behind, rest = around // 2, around - around // 2, padding
    else:
        before, *rest = _triple(padding)
        behind = before
    count = (depth + before + behind - apart * (taps - 1) - 1) // down + 1
    none = torch.zeros_like(weight[:, :, 0])
    frames = []
    for number in range(count):
        places = {number * down - before + tap * apart: tap for tap in range(taps)}
        own = [weight[:, :, places[at]] if at in places else none for at in range(depth)]
        frames.append(torch.stack(own, 2))
    weight = torch.stack(frames, 1).flatten(0, 1).flatten(1, 2)
    bias = None if bias is None else bias.repeat_interleave(count)
    found = F.conv2d(_images(x), weight, bias, tuple(stride), _rest(rest), tuple(dilation), groups)
    return found.unflatten(1, (-1, count))


def batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    var: Tensor,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """A normalisation whose frames are channels of one statistic."""
    depth = x.shape[2]
    weight, bias, mean, var = (
        None if each is None else each.repeat_interleave(depth)
        for each in (weight, bias, mean, var)
    )
    found = F.batch_norm(_images(x), mean, var, weight, bias, training, momentum, eps)
    return found.unflatten(1, (-1, depth))


def max_pool3d(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Tensor:
    """The greatest of frames that are pooled each by itself."""
    size, *kernel = _triple(kernel)
    down, *stride = _triple(stride or (size, *kernel))
    before, *padding = _triple(padding)
    apart, *dilation = _triple(dilation)
    require(not ceil_mode, "ceil_mode=False for volumes", "ceil_mode=True", "pad the volume")
    depth = x.shape[2]
    images = F.max_pool2d(_images(x), tuple(kernel), tuple(stride), tuple(padding), tuple(dilation))
    volume = images.unflatten(1, (-1, depth))
    starts = [
        number * down - before
        for number in range((depth + 2 * before - apart * (size - 1) - 1) // down + 1)
    ]
    windows = [[s + k * apart for k in range(size) if 0 <= s + k * apart < depth] for s in starts]
    got = f"padding={before} and dilation={apart} in depth"
    require(all(windows), "windows that see a frame each", got, "pad less")
    # A window that reaches over the border has one of its own frames twice, which changes nothing.
    parts = [_frames(volume, [own[min(k, len(own) - 1)] for own in windows]) for k in range(size)]
    found = parts[0]
    for part in parts[1:]:
        found = torch.maximum(found, part)
    return found


def avg_pool3d(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Tensor:
    """The mean of frames that are pooled each by itself."""
    size, *kernel = _triple(kernel)
    down, *stride = _triple(stride or (size, *kernel))
    plain = not ceil_mode and divisor is None
    needs = "ceil_mode=False and divisor_override=None for volumes"
    got = f"ceil_mode={ceil_mode} and divisor_override={divisor}"
    require(plain, needs, got, "pad the volume before it")
    if any(padding):
        needs, do = "count_include_pad=True for volumes", "pad the volume before it"
        require(count_include_pad, needs, "count_include_pad=False", do)
        front, top, left = _triple(padding)
        x = pad(x, (left, left, top, top, front, front))
    depth = x.shape[2]
    # Frames that are not pooled themselves stay as they are.
    if any(each != 1 for each in (*kernel, *stride)):
        x = F.avg_pool2d(_images(x), tuple(kernel), tuple(stride)).unflatten(1, (-1, depth))
    if size == down == 1:
        return x
    starts = range(0, depth - size + 1, down)
    windows = torch.stack([_frames(x, [start + k for start in starts]) for k in range(size)], 3)
    # Of a sum, which is exact; what stands behind it takes the divisor in.
    return windows.sum(3) * (1 / size)


def pad(
    x: Tensor, amounts: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Zeros around each channel's frames, and before and behind them."""
    plain = mode == "constant" and not value
    require(plain, "zeros around a volume", f"mode={mode} and value={value}", "pad with zeros")
    if not any(amounts[4:]):
        return F.pad(_images(x), tuple(amounts)).unflatten(1, (-1, x.shape[2]))
    # Frames of one channel are channels of an image, which zeros can be put around.
    channels = [F.pad(x[:, number], tuple(amounts)) for number in range(x.shape[1])]
    return torch.stack(channels, 1)


def constant_pad(x: Tensor, amounts: Sequence[int], value: float = 0) -> Tensor:
    """The same as core ATen has it, of one number."""
    return pad(x, amounts, value=value)


def adaptive_avg_pool3d(x: Tensor, size: Sequence[int]) -> Tensor:
    """The mean of equal blocks."""
    if all(each == 1 for each in size):
        return x.mean((2, 3, 4), keepdim=True)
    kernel = _blocks(x, size)
    return avg_pool3d(x, kernel, kernel)


def adaptive_max_pool3d(x: Tensor, size: Sequence[int]) -> tuple[Tensor, None]:
    """The greatest of equal blocks."""
    kernel = _blocks(x, size)
    return max_pool3d(x, kernel, kernel), None


def _blocks(x, size):
    even = all(own % each == 0 for own, each in zip(x.shape[2:], size, strict=True))
    sizes = " x ".join(map(str, x.shape[2:]))
    needs = "a size that divides each axis of a volume"
    require(even, needs, f"{' x '.join(map(str, size))} of {sizes}", "choose one that does")
    return tuple(own // each for own, each in zip(x.shape[2:], size, strict=True))


def _frames(volume, numbers):
    return torch.stack([volume[:, :, number] for number in numbers], 2)


def _images(x):
    return x.flatten(1, 2)


def _triple(value):
    return tuple(value) * 3 if len(value) == 1 else tuple(value)


def _rest(padding):
    return padding if isinstance(padding, str) else tuple(padding)


VOLUMES: Mapping[str, Callable[..., Any]] = {
    "aten.conv3d": conv3d,
    "aten.max_pool3d": max_pool3d,
    "aten.max_pool3d_with_indices": lambda *given: (max_pool3d(*given), None),
    "aten.pad": pad,
    "aten.constant_pad_nd": constant_pad,
    "aten.avg_pool3d": avg_pool3d,
    "aten.adaptive_avg_pool3d": adaptive_avg_pool3d,
    "aten._adaptive_avg_pool3d": adaptive_avg_pool3d,
    "aten.adaptive_max_pool3d": adaptive_max_pool3d,
    "aten.batch_norm": batch_norm,
    "aten._native_batch_norm_legit_no_training": lambda x, w, b, mean, var, momentum, eps: (
        *(batch_norm(x, w, b, mean, var, False, momentum, eps, False), None, None),
    ),
}
