"""ATen's activations that bound each value: ReLU, ReLU6, Hardtanh and clamp."""

import math

from torch import Tensor

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.clamp import Clamp


def clamp(call: Call, low: float | Tensor | None, high: float | Tensor | None) -> Clamp:
    """A clamp by two numbers; infinite ones are no bounds."""
    source = call.source()
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        raise call.refuse("numbers as bounds", "tensors", "use one bound for all channels")
    if low is not None and high is not None and low > high:
        raise call.refuse("a lower bound under the upper one", f"{low} and {high}", "swap them")
    # An infinite bound lets everything pass.
    low, high = (None if b is None or math.isinf(b) else float(b) for b in (low, high))
    return Clamp(name=call.name, inputs=(source.name,), shape=source.shape, low=low, high=high)


OPERATORS = {
    "aten.relu": lambda call: clamp(call, 0.0, None),
    # Its bound is a number of the operator, not an argument.
    "aten.relu6": lambda call: clamp(call, 0.0, 6.0),
    "aten.hardtanh": lambda call: clamp(call, call["min_val"], call["max_val"]),
    "aten.clamp": lambda call: clamp(call, call["min"], call["max"]),
    "aten.clamp_min": lambda call: clamp(call, call["min"], None),
    "aten.clamp_max": lambda call: clamp(call, None, call["max"]),
}
