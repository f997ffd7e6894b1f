"""ATen's arithmetic of two computed tensors: sums, differences, products, quotients, extremes."""

from qnn.frontend.aten.call import Call
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
    one, other = call.source("self"), call.source("other")
    # Vectors and images of one pixel have one shape here, and would be broadcast by PyTorch.
    if call.rank("self") != call.rank("other"):
        raise call.refuse(
            "two tensors of as many axes",
            f"{call.rank('self')} and {call.rank('other')}",
            "give features that meet images two axes more, x[:, :, None, None]",
        )
    return one.name, other.name


def _sum(call, names, alpha):
    return Add(name=call.name, inputs=names, shape=call.shape, alpha=alpha)
