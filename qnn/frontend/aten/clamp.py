"""ATen's activations that bound each value: ReLU, ReLU6, Hardtanh and clamp."""

import math

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.clamp import Clamp


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


def _bound(call, key):
    return call.number(key, "use one bound for all channels")


OPERATORS = {
    "aten.relu": lambda call: clamp(call, 0.0, None),
    # Its bound is a number of the operator, not an argument.
    "aten.relu6": lambda call: clamp(call, 0.0, 6.0),
    "aten.hardtanh": lambda call: clamp(call, _bound(call, "min_val"), _bound(call, "max_val")),
    "aten.clamp": lambda call: clamp(call, _bound(call, "min"), _bound(call, "max")),
    "aten.clamp_min": lambda call: clamp(call, _bound(call, "min"), None),
    "aten.clamp_max": lambda call: clamp(call, None, _bound(call, "max")),
}
