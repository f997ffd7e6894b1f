"""The operations that a host may compute of a network's results: a closed set, by name.

Each is written once, for NumPy's arrays and for PyTorch's tensors, whose functions have the same
names. Evaluation always takes NumPy's in float64, and training PyTorch's, which have gradients.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

Numbers = tuple[int, ...]
BATCH = 0  # stands for the number of images among sizes

# What chooses or normalises among scores. At the very end, losses see the scores instead.
ENDS = ("softmax", "log_softmax", "argmax")


@dataclass(frozen=True)
class HostOperation:
    """One operation: how many tensors and numbers it takes, and what it gives.

    Members
    -------
    operands, numbers : how many; None: one or more
    compute : of the module of the arrays' functions, operands, numbers and the number of images
    takes : whether numbers fit operands of these shapes, the images' axis included
    """

    operands: int | None
    numbers: int | None
    compute: Callable[[ModuleType, Sequence[Any], Numbers, int], Any]
    takes: Callable[[Sequence[Numbers], Numbers], bool] = lambda shapes, numbers: True


def _unary(function):
    return HostOperation(1, 0, lambda xp, x, numbers, images: function(xp, x[0]))


def _binary(function):
    return HostOperation(2, 0, lambda xp, x, numbers, images: function(xp, *x))


def _along(function):
    """Of one axis, whose number the operation is given."""

    def compute(xp, operands, numbers, images):
        # A sum depends on the order of its terms, which NumPy takes from how an array lies.
        contiguous = getattr(xp, "ascontiguousarray", lambda x: x)
        return function(xp, contiguous(operands[0]), numbers[0])

    return HostOperation(1, 1, compute, lambda s, n: 0 <= n[0] < len(s[0]) and s[0][n[0]] > 0)


def _sigmoid(xp, x):
    # Of the negative magnitude, so that no power overflows.
    power = xp.exp(-xp.abs(x))
    # Both are the same number; each is exact to the last place on its own side.
    return xp.where(x >= 0, 1 / (1 + power), power / (1 + power))


def _powers(xp, x, axis):
    """Each value less the greatest along the axis, its power of e, and their sum."""
    kept = tuple(1 if n == axis else size for n, size in enumerate(x.shape))
    # Less the greatest, so that no power overflows.
    shifted = x - xp.amax(x, axis).reshape(kept)
    powers = xp.exp(shifted)
    return shifted, powers, powers.sum(axis).reshape(kept)


def _softmax(xp, x, axis):
    _, powers, total = _powers(xp, x, axis)
    return powers / total


def _log_softmax(xp, x, axis):
    shifted, _, total = _powers(xp, x, axis)
    return shifted - xp.log(total)


def _sized(sizes, images):
    return tuple(images if size == BATCH else size for size in sizes)


def _permuted(xp, operands, axes, images):
    # The only one of the set that has two names.
    return getattr(xp, "permute", xp.transpose)(operands[0], axes)


def _sliced(xp, operands, numbers, images):
    axis, start, stop, step = numbers
    return operands[0][(*(slice(None),) * axis, slice(start, stop, step))]


def _is_cut(shapes, numbers):
    axis, start, stop, step = numbers
    return 0 <= axis < len(shapes[0]) and 0 <= start < stop <= shapes[0][axis] and step > 0


def _is_spread(shapes, sizes):
    ends = zip(shapes[0][::-1], sizes[::-1], strict=False)
    return len(sizes) >= len(shapes[0]) and all(a in (1, b) or b == BATCH for a, b in ends)


def _is_joined(shapes, numbers):
    axis = numbers[0]
    rest = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    return len(rest) == 1 and all(0 <= axis < len(shape) for shape in shapes)


OPERATIONS: Mapping[str, HostOperation] = {
    "neg": _unary(lambda xp, x: -x),
    "abs": _unary(lambda xp, x: xp.abs(x)),
    "exp": _unary(lambda xp, x: xp.exp(x)),
    "log": _unary(lambda xp, x: xp.log(x)),
    "sqrt": _unary(lambda xp, x: xp.sqrt(x)),
    "tanh": _unary(lambda xp, x: xp.tanh(x)),
    "sigmoid": _unary(_sigmoid),
    "add": _binary(lambda xp, a, b: a + b),
    "sub": _binary(lambda xp, a, b: a - b),
    "mul": _binary(lambda xp, a, b: a * b),
    "div": _binary(lambda xp, a, b: a / b),
    "pow": _binary(lambda xp, a, b: a**b),
    "maximum": _binary(lambda xp, a, b: xp.maximum(a, b)),
    "minimum": _binary(lambda xp, a, b: xp.minimum(a, b)),
    "sum": _along(lambda xp, x, axis: x.sum(axis)),
    "amax": _along(lambda xp, x, axis: xp.amax(x, axis)),
    "amin": _along(lambda xp, x, axis: xp.amin(x, axis)),
    "softmax": _along(_softmax),
    "log_softmax": _along(_log_softmax),
    # A scale is a power of two, which float64 has exactly: the greatest integer's place, of equal
    # ones the first, as PyTorch has it.
    "argmax": _along(lambda xp, x, axis: x.argmax(axis)),
    "reshape": HostOperation(
        1,
        None,
        lambda xp, x, sizes, images: x[0].reshape(_sized(sizes, images)),
        lambda shapes, sizes: sizes.count(BATCH) < 2 and min(sizes) >= 0,
    ),
    "permute": HostOperation(
        1, None, _permuted, lambda shapes, axes: sorted(axes) == list(range(len(shapes[0])))
    ),
    "slice": HostOperation(1, 4, _sliced, _is_cut),
    "expand": HostOperation(
        1,
        None,
        lambda xp, x, sizes, images: xp.broadcast_to(x[0], _sized(sizes, images)),
        _is_spread,
    ),
    "cat": HostOperation(
        None, 1, lambda xp, x, numbers, images: xp.concatenate(list(x), numbers[0]), _is_joined
    ),
}


def most_values(name: str, shapes: Sequence[Numbers], numbers: Numbers, images: int) -> int:
    """A bound on how many values a result has, before it is computed."""
    if name == "expand":
        return prod(_sized(numbers, images))
    if name == "cat":
        return sum(map(prod, shapes))
    # Raises ValueError where shapes do not go together.
    return prod(np.broadcast_shapes(*shapes))
