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
# What only says of what kind the user's results are; losses see the numbers before.
KINDS = ("long", "bool")
# What takes also that which is true or false, and no number.
OF_ANY = ("long", "float", "bool", "reshape", "permute", "slice", "expand", "cat")


@dataclass(frozen=True)
class HostOperation:
    """One operation: how many tensors and numbers it takes, and what it gives.

    Members
    -------
    operands, numbers : how many; None: one or more
    compute : of the module of the arrays' functions, operands, numbers and the number of images
    shape : of the result, from those of the operands with the images' axis, numbers and the number
        of images; raises ValueError or IndexError where these do not go together
    """

    operands: int | None
    numbers: int | None
    compute: Callable[[ModuleType, Sequence[Any], Numbers, int], Any]
    shape: Callable[[Sequence[Numbers], Numbers, int], Numbers]


def _unary(function):
    return HostOperation(
        1, 0, lambda xp, x, numbers, images: function(xp, x[0]), lambda s, numbers, images: s[0]
    )


def _binary(function):
    return HostOperation(
        2,
        0,
        lambda xp, x, numbers, images: function(xp, *x),
        lambda s, numbers, images: np.broadcast_shapes(*s),
    )


def _along(function, *, keeps=False):
    """Of one axis, whose number the operation is given; ``keeps``: the result has it too."""

    def compute(xp, operands, numbers, images):
        # A sum depends on the order of its terms, which NumPy takes from how an array lies.
        contiguous = getattr(xp, "ascontiguousarray", lambda x: x)
        return function(xp, contiguous(operands[0]), numbers[0])

    def shape(shapes, numbers, images):
        (before,), (axis,) = shapes, numbers
        # Of nothing there is neither a sum nor a greatest value.
        _require(before[axis] > 0)
        return before if keeps else (*before[:axis], *before[axis + 1 :])

    return HostOperation(1, 1, compute, shape)


def _require(fits):
    if not fits:
        raise ValueError("numbers that do not fit operands")


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


def _reshaped_shape(shapes, numbers, images):
    sizes = _sized(numbers, images)
    _require(numbers.count(BATCH) < 2 and prod(sizes) == prod(shapes[0]))
    return sizes


def _permuted_shape(shapes, axes, images):
    _require(sorted(axes) == list(range(len(shapes[0]))))
    return tuple(shapes[0][axis] for axis in axes)


def _cut_shape(shapes, numbers, images):
    (before,), (axis, start, stop, step) = shapes, numbers
    _require(start < stop <= before[axis] and step > 0)
    return (*before[:axis], len(range(start, stop, step)), *before[axis + 1 :])


def _spread_shape(shapes, numbers, images):
    sizes = _sized(numbers, images)
    _require(numbers.count(BATCH) < 2 and np.broadcast_shapes(shapes[0], sizes) == sizes)
    return sizes


def _joined_shape(shapes, numbers, images):
    axis, first = numbers[0], shapes[0]
    rest = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    _require(len(rest) == 1)
    return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])


OPERATIONS: Mapping[str, HostOperation] = {
    "neg": _unary(lambda xp, x: -x),
    "abs": _unary(lambda xp, x: xp.abs(x)),
    "exp": _unary(lambda xp, x: xp.exp(x)),
    "log": _unary(lambda xp, x: xp.log(x)),
    "sqrt": _unary(lambda xp, x: xp.sqrt(x)),
    "floor": _unary(lambda xp, x: xp.floor(x)),
    # Of what kind the user's model gives results: a sum with a real is one, whatever it was.
    "float": _unary(lambda xp, x: x + 0.0),
    "long": _unary(lambda xp, x: x.astype(np.int64) if xp is np else x.long()),
    "bool": _unary(lambda xp, x: x != 0),
    "tanh": _unary(lambda xp, x: xp.tanh(x)),
    "sigmoid": _unary(_sigmoid),
    "add": _binary(lambda xp, a, b: a + b),
    "sub": _binary(lambda xp, a, b: a - b),
    "mul": _binary(lambda xp, a, b: a * b),
    "div": _binary(lambda xp, a, b: a / b),
    # Of reals, as integers have no negative powers.
    "pow": _binary(lambda xp, a, b: (a + 0.0) ** b),
    "maximum": _binary(lambda xp, a, b: xp.maximum(a, b)),
    "minimum": _binary(lambda xp, a, b: xp.minimum(a, b)),
    "sum": _along(lambda xp, x, axis: x.sum(axis)),
    "amax": _along(lambda xp, x, axis: xp.amax(x, axis)),
    "amin": _along(lambda xp, x, axis: xp.amin(x, axis)),
    "softmax": _along(_softmax, keeps=True),
    "log_softmax": _along(_log_softmax, keeps=True),
    # A scale is a power of two, which float64 has exactly: the greatest integer's place, of equal
    # ones the first, as PyTorch has it.
    "argmax": _along(lambda xp, x, axis: x.argmax(axis)),
    "reshape": HostOperation(
        1,
        None,
        lambda xp, x, sizes, images: x[0].reshape(_sized(sizes, images)),
        _reshaped_shape,
    ),
    "permute": HostOperation(1, None, _permuted, _permuted_shape),
    "slice": HostOperation(1, 4, _sliced, _cut_shape),
    "expand": HostOperation(
        1,
        None,
        lambda xp, x, sizes, images: xp.broadcast_to(x[0], _sized(sizes, images)),
        _spread_shape,
    ),
    "cat": HostOperation(
        None, 1, lambda xp, x, numbers, images: xp.concatenate(list(x), numbers[0]), _joined_shape
    ),
}
