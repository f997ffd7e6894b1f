"""ATen's choices between two values by a third: products with 1 where it holds, and 0 elsewhere."""

import torch

from qnn.frontend.aten.call import Call, computed
from qnn.frontend.aten.elementwise import common_source, elementwise
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.affine import affine_of
from qnn.frontend.ops.multiply import FloatMultiply
from qnn.frontend.ops.operator import FloatOperator


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
    holds = call.source(condition)
    # A sum of one value and of a multiple of the difference would round twice.
    chosen = _Choice(call, f"{call.name}.if", holds).times(if_so)
    opposite = _Choice(call, f"{call.name}.not", holds)
    other = _Choice(call, f"{call.name}.else", opposite.affine(-1.0, 1.0)).times(if_not)
    return Add(name=call.name, inputs=(chosen.name, other.name), shape=call.shape)


class _Choice:
    """One of both values, and zeros where it was not chosen."""

    def __init__(self, call: Call, name: str, holds: FloatOperator):
        self.call, self.name, self.holds = call, name, holds

    def times(self, key):
        call = self.call
        if not computed(call.arguments[key]):
            return self.affine(call.constant(key), 0.0)
        names = (call.source(key).name, self.holds.name)
        return call.make.add(FloatMultiply(name=self.name, inputs=names, shape=call.shape))

    def affine(self, factor, shift):
        # Of a mask for each pixel, a constant for each channel would have no place.
        channels, count = self.holds.shape[0], max(torch.as_tensor(factor).numel(), 1)
        if count not in (1, channels):
            raise self.call.refuse(
                f"one number, or one for each of the condition's {channels} channels",
                f"{count}",
                "give the condition as many channels",
            )
        return self.call.make.add(affine_of(self.name, self.holds, factor, shift))


OPERATORS = {"aten.where": where, "aten.masked_fill": masked_fill}
