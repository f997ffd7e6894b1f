"""ATen's arithmetic of two computed tensors: sums, differences, products, quotients, extremes."""

from qnn.frontend.aten.call import Call, computed
from qnn.frontend.aten.constant_map import constant_map
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.extreme import Extreme
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.multiply import FloatMultiply
from qnn.functions.elementwise import IDENTITY, applied_to


def summed(call: Call) -> Add:
    """``self + alpha * other``."""
    return _sum(call, _operands(call), float(call["alpha"]))


def difference(call: Call) -> Add:
    """``self - alpha * other``."""
    return _sum(call, _operands(call), -float(call["alpha"]))


def reversed_difference(call: Call) -> Add:
    """``other - alpha * self``."""
    return _sum(call, _operands(call)[::-1], -float(call["alpha"]))


def product(call: Call) -> FloatMultiply:
    """The product, value by value; of a tensor with itself its square."""
    names = _operands(call)
    return FloatMultiply(name=call.name, inputs=names, shape=call.shape)


def quotient(call: Call) -> FloatMultiply:
    """The first tensor times the reciprocal of the second, which is a function of it."""
    if not computed(call.arguments["other"]):
        return _over_map(call)
    one, other = _operands(call)
    divisor = call.nodes[other]
    # It composes with what the divisor is a function of, such as a root.
    inverse = FloatFunction(
        name=f"{call.name}.reciprocal",
        inputs=(other,),
        shape=divisor.shape,
        function=applied_to("reciprocal.default", [IDENTITY]),
    )
    names = (one, call.make.add(inverse).name)
    return FloatMultiply(name=call.name, inputs=names, shape=call.shape)


def maximum(call: Call) -> Extreme:
    """The greater of two values."""
    return Extreme(name=call.name, inputs=_operands(call), shape=call.shape, least=False)


def minimum(call: Call) -> Extreme:
    """The lesser of two values."""
    return Extreme(name=call.name, inputs=_operands(call), shape=call.shape, least=True)


def _operands(call):
    """The names of both operands, which have as many axes."""
    if not computed(call.arguments["self"]):
        return _map(call, "self", "other"), call.source("other").name
    if not computed(call.arguments["other"]):
        return call.source("self").name, _map(call, "other", "self")
    one, other = call.source("self"), call.source("other")
    # Vectors and images of one pixel have one shape here, and would be broadcast by PyTorch.
    if call.rank("self") != call.rank("other"):
        raise call.refuse(
            "two tensors of as many axes",
            f"{call.rank('self')} and {call.rank('other')}",
            "give features that meet images two axes more, x[:, :, None, None]",
        )
    return one.name, other.name


def _over_map(call):
    """The product with the reciprocals of a constant map, which no table has to compute."""
    source, divisors = call.source("self"), call.map("other")
    call.neutral("other")
    if not bool(divisors.all()):
        raise call.refuse("a divisor other than 0", "0", "correct the constant")
    inverse = constant_map(call.name, 1 / divisors, source, call.make)
    names = (source.name, inverse.name)
    return FloatMultiply(name=call.name, inputs=names, shape=call.shape)


def _map(call, key, other):
    """The name of the operator that gives a constant which differs from place to place."""
    # What it is given as has been looked at: it differs from place to place.
    call.neutral(key)
    return constant_map(call.name, call.map(key), call.source(other), call.make).name


def _sum(call, names, alpha):
    return Add(name=call.name, inputs=names, shape=call.shape, alpha=alpha)
