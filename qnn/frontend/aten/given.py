"""The quantizers of the network's own, as the modules that ``qnn.frontend.brevitas`` puts in."""

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.quantizer import Quantizer
from qnn.functions.given import GivenQuantizer


def quantizer(call: Call) -> FloatOperator:
    """The quantizer; its operand, where that is in its steps and its range already."""
    source = call.source()
    names = ("scale", "zero_point", "least", "most", "bits", "signed", "rounding", "fault")
    layer = call.site.path.removesuffix(".act_quant")
    given = GivenQuantizer(**{name: call[name] for name in names}, layer=layer)
    if source.given is not None and _holds(given, source.given):
        return source
    return Quantizer(name=call.name, inputs=(source.name,), shape=source.shape, given=given)


def _holds(given, other):
    same = (given.scale, given.fault, other.rounding == "SIGN") == (other.scale, other.fault, False)
    within = given.low <= other.low and other.high <= given.high
    return same and within and given.rounding != "SIGN"


OPERATORS = {"qnn.quantizer": quantizer}
