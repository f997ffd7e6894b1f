"""ATen's choices between two values by a third: products with 1 where it holds, and 0 elsewhere."""

from dataclasses import replace

from qnn.frontend.aten.call import Call, computed
from qnn.frontend.aten.elementwise import (
    common_source,
    elementwise,
    function_of,
    made,
    takes_a_table,
)
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.affine import affine_of
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.multiply import FloatMultiply
from qnn.frontend.ops.operator import FloatOperator
from qnn.functions.elementwise import IDENTITY, applied_to


def where(call: Call) -> FloatOperator:
    """``self`` where the condition holds, else ``other``; either may be a constant."""
    return _chosen(call, "condition", "self", "other")


def masked_fill(call: Call) -> FloatOperator:
    """``value`` where the mask holds, else the tensor."""
    return _chosen(call, "mask", "value", "self")


def _chosen(call, condition, if_so, if_not):
    operands = [value for value in call.arguments.values() if computed(value)]
    # Of one tensor alone it is a function of each value, and so are all with a constant condition.
    if not computed(call.arguments[condition]) or common_source(call, operands) is not None:
        return elementwise(call)
    # A sum of one value and of a multiple of the difference would round twice.
    chosen = _part(call, f"{call.name}.if", condition, if_so, True)
    other = _part(call, f"{call.name}.else", condition, if_not, False)
    return Add(name=call.name, inputs=(chosen.name, other.name), shape=call.shape)


def _part(call, name, condition, key, so):
    """The value of ``key`` where the condition is ``so``, and zeros elsewhere."""
    holds, value = call.source(condition), call.arguments[key]
    source = common_source(call, [holds, value]) if computed(value) else None
    if source is not None:
        # One function: what is not chosen may be no number, such as the root of one below zero.
        mask, wanted = (function_of(call, each, source) for each in (holds, call.source(key)))
        arguments = [mask, wanted, 0] if so else [mask, 0, wanted]
        overload = "where.ScalarOther" if so else "where.ScalarSelf"
        return call.make.add(replace(made(call, overload, arguments, source), name=name))
    if not so:
        holds = call.make.add(affine_of(f"{call.name}.not", holds, -1.0, 1.0))
    if computed(value):
        names = (_finite(call, f"{name}.finite", call.source(key)).name, holds.name)
        return call.make.add(FloatMultiply(name=name, inputs=names, shape=call.shape))
    return call.make.add(_scaled(call, name, holds, call.constant(key)))


def _finite(call, name, value):
    """The value with 0 where it is no number, or none that is finite: there another is chosen."""
    if not takes_a_table(call, value):
        return value
    finite = applied_to("nan_to_num.default", [IDENTITY, 0.0, 0.0, 0.0])
    return call.make.add(
        FloatFunction(name=name, inputs=(value.name,), shape=value.shape, function=finite)
    )


def _scaled(call, name, holds, constant):
    # Of a mask for each pixel, a constant for each channel would have no place.
    channels, count = holds.shape[0], constant.numel()
    if count not in (1, channels):
        raise call.refuse(
            f"one number, or one for each of the condition's {channels} channels",
            f"{count}",
            "give the condition as many channels",
        )
    return affine_of(name, holds, constant, 0.0)


OPERATORS = {"aten.where": where, "aten.masked_fill": masked_fill}
