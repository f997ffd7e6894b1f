"""Pads with less than any value, which only maxima read: copies of the border change no maximum."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, fx

from qnn.frontend.faults import target_of

PADS = ("aten.pad", "aten.constant_pad_nd")
MAXIMA = ("aten.max_pool1d", "aten.max_pool2d", "aten.max_pool2d_with_indices")
# What no network computes is said by a number of this size, or by infinity.
LOWEST = -1e4


def is_lowest(node: fx.Node) -> bool:
    """Whether a call pads with a value that no maximum takes, and only maxima read it."""
    if target_of(node) not in PADS:
        return False
    given = dict(zip(("x", "pad", "mode", "value"), node.args, strict=False))
    if target_of(node) == "aten.constant_pad_nd":
        given = {"pad": node.args[1], "value": node.args[2] if len(node.args) > 2 else 0}
    value = given.get("value", node.kwargs.get("value"))
    lowest = isinstance(value, int | float) and value <= LOWEST
    return lowest and all(_reaches_image(user, given["pad"]) for user in node.users)


def pad_by_copies(x: Tensor, pad: Sequence[int], *_mode_and_value: str | float) -> Tensor:
    """Copies of the first and last rows and columns in place of the lowest value."""
    missing = 2 * (x.dim() - 2) - len(pad)
    return F.pad(x, [*pad, *[0] * missing], mode="replicate")


def _reaches_image(node, pad):
    """Whether ``node`` is a maximum of windows of which none lies in the pad alone."""
    if target_of(node) not in MAXIMA:
        return False
    kernel = node.args[1]
    # Sizes of a kernel stand in the order of the axes, and pads in the other.
    sizes = [size for size in reversed(kernel) for _ in range(2)] if kernel else []
    return all(amount < size for amount, size in zip(pad, sizes, strict=False))
