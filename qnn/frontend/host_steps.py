"""ATen's calls as steps of the host: the closed set of what decodes a network's results."""

import operator
from math import prod

import torch
from torch import Tensor, fx

from qnn.frontend.faults import target_of
from qnn.frontend.host_moves import MOVES, PARTS, SAME, Reader, given_to, part_of, shape_of
from qnn.frontend.host_values import NotForHost
from qnn.frontend.image_axes import PERMUTES, RESHAPES

CHOICES = ("max", "topk")  # of which the places are an argmax
REALS = (torch.float32, torch.float64)
BYTES = (torch.int16, torch.uint8)
INTEGERS = (torch.int64, torch.int32, *BYTES)
SOFTMAX = {"aten.softmax", "aten._softmax", "aten.log_softmax", "aten._log_softmax"}
# What takes many values to one: before anything is decoded, that is the network's own work.
REDUCTIONS = frozenset(f"aten.{name}" for name in ("sum", "mean", "amax", "amin", "max"))


def _unary(name):
    def read(node, values, operand):
        # Such as the number of decimals of a rounding.
        if len(node.args) > 1 or node.kwargs:
            raise NotForHost
        return values.broadcast(name, operand(node.args[0]))

    return read


def _binary(name, *, swapped=False):
    def read(node, values, operand):
        one, other = operand(node.args[0]), operand(node.args[1])
        if set(node.kwargs) - {"alpha"}:  # such as how a quotient is rounded
            raise NotForHost
        # Multiplied by alpha is what PyTorch names second, as a - alpha * b.
        one, other = (other, one) if swapped else (one, other)
        alpha = given_to(node, 2, "alpha", 1)
        if alpha != 1:
            other = values.broadcast("mul", other, values.constant(alpha))
        return values.broadcast(name, one, other)

    return read


def _with_number(name, number, *, first=False):
    """A step on a value and a fixed number, which may come first."""

    def read(node, values, operand):
        pair = (operand(node.args[0]), values.constant(number))
        return values.broadcast(name, *(pair[::-1] if first else pair))

    return read


def _square(node, values, operand):
    # Exact, which a power is not on every machine.
    value = operand(node.args[0])
    return values.broadcast("mul", value, value)


def _rsqrt(node, values, operand):
    root = values.broadcast("sqrt", operand(node.args[0]))
    return values.broadcast("div", values.constant(1.0), root)


def _clamp(node, values, operand):
    value = operand(node.args[0])
    bounds = (given_to(node, 1, "min"), "maximum"), (given_to(node, 2, "max"), "minimum")
    for bound, name in bounds:
        if bound is not None:
            value = values.broadcast(name, value, operand(bound))
    return value


def _reduced(name):
    def read(node, values, operand):
        value = operand(node.args[0])
        dims = given_to(node, 1, "dim")
        dims = [dims] if isinstance(dims, int) else dims
        if not dims or node.kwargs.get("dtype") is not None:
            raise NotForHost
        count = 1
        # From the last one, so that the others keep their numbers.
        for axis in sorted((dim % len(value.shape) for dim in dims), reverse=True):
            count *= value.shape[axis]
            value = values.along("sum" if name == "mean" else name, value, axis)
        if name == "mean":
            value = values.broadcast("div", value, values.constant(float(count)))
        return values.reshaped(value, shape_of(node))

    return read


def _normalised(name):
    def read(node, values, operand):
        value = operand(node.args[0])
        return values.along(name, value, node.args[1] % len(value.shape))

    return read


def _argmax(node, values, operand):
    value, dim = operand(node.args[0]), given_to(node, 1, "dim")
    if dim is None:
        raise NotForHost
    return _chosen(node, values, value, dim)


def _argmin(node, values, operand):
    return _argmax(node, values, lambda each: values.broadcast("neg", operand(each)))


def _cast(node, values, operand):
    """The same values as integers, without their fractions, or as reals."""
    value, before = operand(node.args[0]), node.args[0].meta["val"].dtype
    after = node.meta["val"].dtype
    # A real that a byte has no room for is another one on each machine.
    if before in REALS and after in BYTES:
        raise NotForHost
    if before in INTEGERS or after in INTEGERS:
        same = before in INTEGERS and after in INTEGERS
        name = "long" if after in INTEGERS else "float"
        return value if same else values.broadcast(name, value)
    # What is true or false is 1 or 0 in the network.
    if before not in REALS:
        raise NotForHost
    return value


def _of_integers(read):
    """The step on integers, which are computed in float64, exactly up to 2**53."""

    def whole(node, values, operand):
        return values.broadcast("long", read(node, values, operand))

    return whole


def _floor_divided(node, values, operand):
    if node.kwargs.get("rounding_mode", "floor") != "floor":
        raise NotForHost
    quotient = values.broadcast("div", operand(node.args[0]), operand(node.args[1]))
    return values.broadcast("floor", quotient)


def _remainder(node, values, operand):
    value, divisor = operand(node.args[0]), operand(node.args[1])
    whole = values.broadcast("floor", values.broadcast("div", value, divisor))
    return values.broadcast("sub", value, values.broadcast("mul", whole, divisor))


def _choice(node, values, value):
    """The greatest of values along an axis, or its place."""
    call, index = node.args
    if target_of(call) == "aten.topk":
        # Of more than the greatest value the order is another question.
        if given_to(call, 1, "k") != 1 or not all(call.args[3:4]):
            raise NotForHost
        dim = given_to(call, 2, "dim", -1)
    else:
        dim = given_to(call, 1, "dim")
    if index:
        return _chosen(node, values, value, dim)
    return values.reshaped(values.along("amax", value, dim % len(value.shape)), shape_of(node))


def _chosen(node, values, value, dim):
    axis = dim % len(value.shape)
    # The order of probabilities is that of their scores.
    if value.step is not None and value.step.name in ("softmax", "log_softmax"):
        value = value.operands[0] if value.step.numbers == (axis,) else value
    return values.reshaped(values.along("argmax", value, axis), shape_of(node))


def _expected(node, values, operand):
    """The mean of numbers under a softmax, which detectors write as a layer of constants."""
    x, weight, *rest = node.args
    name = target_of(node)
    if not isinstance(weight, fx.Node) or not is_softmax(x):
        raise NotForHost
    value, shape = operand(x), tuple(weight.meta["val"].shape)
    convolves = name in ("aten.conv1d", "aten.conv2d", "aten.conv3d", "aten.convolution")
    axis = 1 if convolves else len(value.shape) - 1
    # One result: several would be a layer.
    if prod(shape) != value.shape[axis] or any(each is not None for each in rest[:1]):
        raise NotForHost
    along = operand(weight)
    # As it spreads over the value: others, as a column of a matrix, would meet another axis.
    if along.axis is not None or shape[1 if convolves else -1] != prod(shape):
        raise NotForHost
    total = values.along("sum", values.broadcast("mul", value, along), axis)
    # Of a kernel of one place the result is as large.
    return values.reshaped(total, shape_of(node))


def is_softmax(node: object) -> bool:
    """Whether a node is a softmax, or an order of the values of one."""
    while isinstance(node, fx.Node) and target_of(node) not in SOFTMAX:
        if target_of(node).removeprefix("aten.") not in (*RESHAPES, *PERMUTES, *SAME):
            return False
        node = node.args[0]
    return isinstance(node, fx.Node)


def _item(node, values, operand):
    call = node.args[0]
    if target_of(call).removeprefix("aten.") in CHOICES:
        return _choice(node, values, operand(call.args[0]))
    return part_of(node, values, operand)


READERS: dict[str, Reader] = {
    **{f"aten.{name}": _unary(name) for name in ("neg", "abs", "exp", "log", "sqrt", "tanh")},
    **{f"aten.{name}": _unary("sigmoid") for name in ("sigmoid", "special_expit")},
    **{f"aten.{name}": _binary(name) for name in ("add", "sub", "mul", "div", "pow")},
    **{f"aten.{name}": _binary(name) for name in ("maximum", "minimum")},
    "aten.multiply": _binary("mul"),
    "aten.subtract": _binary("sub"),
    "aten.divide": _binary("div"),
    "aten.true_divide": _binary("div"),
    "aten.rsub": _binary("sub", swapped=True),
    "aten.square": _square,
    "aten.reciprocal": _with_number("div", 1.0, first=True),
    "aten.rsqrt": _rsqrt,
    "aten.relu": _with_number("maximum", 0.0),
    "aten.clamp": _clamp,
    "aten.clamp_min": _binary("maximum"),
    "aten.clamp_max": _binary("minimum"),
    **{f"aten.{name}": read for name, read in MOVES.items()},
    **{f"aten.{name}": _reduced(name) for name in ("sum", "mean", "amax", "amin")},
    **{name: _normalised(name.removeprefix("aten.").removeprefix("_")) for name in SOFTMAX},
    **{f"aten.{name}": _expected for name in ("conv1d", "conv2d", "conv3d", "convolution")},
    **{f"aten.{name}": _expected for name in ("linear", "matmul", "mv")},
    "getitem": _item,
}
CASTS = {"aten.to": _cast, "aten._to_copy": _cast}
# Of classes and places, which only a host has.
INTEGER_READERS: dict[str, Reader] = {
    **{f"aten.{name}": read for name, read in MOVES.items()},
    **CASTS,
    **{f"aten.{name}": _of_integers(_binary(name)) for name in ("add", "sub", "mul")},
    "aten.rsub": _of_integers(_binary("sub", swapped=True)),
    "aten.floor_divide": _of_integers(_floor_divided),
    "aten.div": _of_integers(_floor_divided),
    "aten.remainder": _of_integers(_remainder),
    "aten.argmax": _argmax,
    "aten.argmin": _argmin,
}
# Calls that give several results, which those that take one of them read.
OF_SEVERAL = frozenset(f"aten.{name}" for name in (*PARTS, *CHOICES))


def reader_of(node: fx.Node) -> Reader | None:
    """What makes steps of a call; None: the host does not compute it."""
    if node.op != "call_function":
        return None
    if node.target is operator.getitem:
        return READERS["getitem"]
    held, name = node.meta.get("val"), target_of(node)
    if not isinstance(held, Tensor):
        return None
    if held.dtype in INTEGERS:
        return INTEGER_READERS.get(name)
    # The host computes in float64 anyway; a cast to fewer bits would be another function.
    return {**READERS, **CASTS}.get(name) if held.dtype in REALS else None
