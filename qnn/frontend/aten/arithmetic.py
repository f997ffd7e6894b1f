"""ATen's arithmetic: with constants a factor and a shift, of one tensor with itself a function."""

import torch

from qnn.frontend.aten import two_tensors
from qnn.frontend.aten.call import Call, computed
from qnn.frontend.aten.constant_map import block_for
from qnn.frontend.aten.elementwise import common_source, elementwise, takes_a_table
from qnn.frontend.ops.affine import affine_of
from qnn.frontend.ops.operator import FloatOperator


def add(call: Call) -> FloatOperator:
    """``self + alpha * other``."""
    if _are_two(call):
        return _sum(call, two_tensors.summed)
    return _linear(call, 1.0, call["alpha"])


def sub(call: Call) -> FloatOperator:
    """``self - alpha * other``."""
    if _are_two(call):
        return _sum(call, two_tensors.difference)
    return _linear(call, 1.0, -call["alpha"])


def rsub(call: Call) -> FloatOperator:
    """``other - alpha * self``."""
    if _are_two(call):
        return _sum(call, two_tensors.reversed_difference)
    return _linear(call, -call["alpha"], 1.0)


def mul(call: Call) -> FloatOperator:
    """The product, with a constant a factor of each channel."""
    if _are_two(call):
        return _of_one(call, two_tensors.product)
    key, other = _operands(call)
    return _affine(call, call.source(key), call.constant(other), None)


def div(call: Call) -> FloatOperator:
    """The quotient; a constant over a tensor is a function, over which a tensor is a product."""
    if _are_two(call):
        return _of_one(call, two_tensors.quotient)
    rounds = call.get("rounding_mode") is not None
    if rounds or not computed(call.arguments["self"]):
        return elementwise(call)
    divisor = call.constant("other")
    if not bool(divisor.all()):
        raise call.refuse("a divisor other than 0", "0", "correct the constant")
    return _affine(call, call.source("self"), 1 / divisor, None)


def maximum(call: Call) -> FloatOperator:
    """The greater of two values, of which one may be a constant."""
    return _of_one(call, two_tensors.maximum) if _are_two(call) else elementwise(call)


def minimum(call: Call) -> FloatOperator:
    """The lesser of two values, of which one may be a constant."""
    return _of_one(call, two_tensors.minimum) if _are_two(call) else elementwise(call)


def neg(call: Call) -> FloatOperator:
    """The tensor times -1."""
    return _affine(call, call.source(), torch.tensor([-1.0], dtype=torch.float64), None)


def addcmul(call: Call) -> FloatOperator:
    """``self + value * tensor1 * tensor2``, of which one may be computed from the input."""
    keys = [key for key in ("self", "tensor1", "tensor2") if computed(call.arguments[key])]
    if len(keys) > 1:
        return elementwise(call)
    value = float(call["value"])
    if keys == ["self"]:
        product = call.constant("tensor1") * call.constant("tensor2") * value
        return _affine(call, call.source("self"), None, product)
    (factor,) = {"tensor1", "tensor2"} - set(keys)
    return _affine(call, call.source(keys[0]), call.constant(factor) * value, call.constant("self"))


def _are_two(call):
    """Whether both operands are tensors of places: computed ones, or constant maps."""
    return _are_computed(call) or any(_is_map(call, key) for key in ("self", "other"))


def _are_computed(call):
    return all(computed(call.arguments[key]) for key in ("self", "other"))


def _is_map(call, key):
    found = call.map(key)
    return found is not None and block_for(found.shape) is not None


def _operands(call):
    """The names of the operand that is computed, and of the constant."""
    found = ("self", "other")
    return found if computed(call.arguments["self"]) else found[::-1]


def _linear(call, of_self, of_other):
    """The sum of both operands times a number, of which one is a constant."""
    key, other = _operands(call)
    factors = {"self": float(of_self), "other": float(of_other)}
    factor = torch.tensor([factors[key]], dtype=torch.float64)
    return _affine(call, call.source(key), factor, call.constant(other) * factors[other])


def _affine(call, source, factor, shift):
    """``source * factor + shift``, or the tensor itself where that is the same."""
    channels = source.shape[0]
    factor = torch.ones(1, dtype=torch.float64) if factor is None else factor
    shift = torch.zeros(1, dtype=torch.float64) if shift is None else shift
    if call.shape != source.shape or any(len(v) not in (1, channels) for v in (factor, shift)):
        raise call.refuse(
            f"constants that leave the shape {source.shape} as it is",
            f"constants of {max(len(factor), len(shift))} channels that make it {call.shape}",
            "repeat the tensor in the model first",
        )
    # Python's sum of a list begins with 0.
    if bool((factor == 1).all()) and not bool(shift.any()):
        return source
    return affine_of(call.name, source, factor, shift)


def _sum(call, of_two):
    """A sum or difference of two tensors: a function of one, if it is curved, else of both."""
    if not _are_computed(call):
        return of_two(call)
    operands = [call.source(key) for key in ("self", "other")]
    source = common_source(call, operands)
    # Sums of what is linear are exact; a table is not.
    if source and any(takes_a_table(call, each, source) for each in operands):
        return elementwise(call)
    return of_two(call)


def _of_one(call, of_two):
    """A function of two tensors that both are functions of one, else ``of_two``."""
    if not _are_computed(call):
        return of_two(call)
    if common_source(call, [call.source(key) for key in ("self", "other")]) is None:
        return of_two(call)
    return elementwise(call)


OPERATORS = {
    "aten.add": add,
    "aten.sub": sub,
    "aten.subtract": sub,
    "aten.rsub": rsub,
    "aten.mul": mul,
    "aten.multiply": mul,
    "aten.div": div,
    "aten.divide": div,
    "aten.true_divide": div,
    "aten.neg": neg,
    "aten.negative": neg,
    "aten.addcmul": addcmul,
    "aten.maximum": maximum,
    "aten.fmax": maximum,
    "aten.minimum": minimum,
    "aten.fmin": minimum,
}
