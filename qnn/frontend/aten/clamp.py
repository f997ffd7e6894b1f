"""ATen's activations that bound each value: ReLU, ReLU6, Hardtanh and clamp."""

import math

from torch import Tensor

from qnn.frontend.aten.call import Call, computed
from qnn.frontend.aten.elementwise import elementwise
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.operator import FloatOperator


def clamp(call: Call, low: float | None, high: float | None) -> Clamp:
    """A clamp by two numbers; a lower one of minus infinity, say, is no bound."""
    source = call.source()
    if any(bound is not None and math.isnan(bound) for bound in (low, high)):
        raise call.refuse("numbers as bounds", "NaN", "correct the bound")
    if low is not None and high is not None and low > high:
        raise call.refuse("a lower bound under the upper one", f"{low} and {high}", "swap them")
    if low == math.inf or high == -math.inf:
        raise call.refuse("bounds that values can reach", f"{low} and {high}", "correct the bound")
    # Any other infinite bound lets everything pass.
    low, high = (None if b is None or math.isinf(b) else float(b) for b in (low, high))
    return Clamp(name=call.name, inputs=(source.name,), shape=source.shape, low=low, high=high)


def _bounded(call, low, high):
    """The clamp by the arguments of two names; bounds of each channel are a function of their own.

    A name is None where the operator has no such bound.
    """
    bounds = [None if key is None else call[key] for key in (low, high)]
    if any(
        (isinstance(bound, Tensor) and bound.numel() > 1) or computed(bound) for bound in bounds
    ):
        return elementwise(call)
    numbers = [None if key is None else call.number(key, "use numbers") for key in (low, high)]
    return clamp(call, *numbers)


def threshold(call: Call) -> FloatOperator:
    """What is greater than a number, and another number for the rest; zeros are ReLU's."""
    if call["threshold"] == call["value"] == 0:
        return clamp(call, 0.0, None)
    return elementwise(call)


OPERATORS = {
    "aten.relu": lambda call: clamp(call, 0.0, None),
    # Its bound is a number of the operator, not an argument.
    "aten.relu6": lambda call: clamp(call, 0.0, 6.0),
    "aten.hardtanh": lambda call: _bounded(call, "min_val", "max_val"),
    "aten.clamp": lambda call: _bounded(call, "min", "max"),
    "aten.clip": lambda call: _bounded(call, "min", "max"),
    "aten.clamp_min": lambda call: _bounded(call, "min", None),
    "aten.clamp_max": lambda call: _bounded(call, None, "max"),
    "aten.threshold": threshold,
}
