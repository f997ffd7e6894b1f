"""What operators share whose epilogue clamps or looks a function up, but never both.

They have ``low`` and ``high``, None where there is no bound, and ``function``, None without one.
``given`` is the quantizer that the network has behind it, None without one: then its rounding is
the operator's own, and nothing but a clamp to whole steps can be applied to it.
"""

from dataclasses import replace
from typing import TypeVar

from torch import Tensor

from qnn.frontend.ops.clamp import Clamp, clamp_function, clamped
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.operator import FloatOperator, options, sum_of
from qnn.frontend.ops.quantizer import Quantizer

Kind = TypeVar("Kind", bound=FloatOperator)


def with_activation(node: Kind, activation: FloatOperator) -> Kind | None:
    """The operator that applies an elementwise one to its result itself; None: it is none."""
    if node.given is not None:
        return _clamped_steps(node, activation)
    if isinstance(activation, Quantizer):
        return replace(node, given=activation.given)
    function = activation.as_function
    if function is None:
        return None
    if isinstance(activation, Clamp) and node.function is None:
        low, high = _both(node, activation)
        return replace(node, low=low, high=high)
    # A clamp before the function becomes a part of it.
    before = node.function or clamp_function(node.low, node.high)
    return replace(node, function=function.of(before), low=None, high=None)


def without_function(node: FloatOperator) -> tuple[FloatOperator, ...]:
    """The operator and its function apart, or the operator alone."""
    if node.function is None:
        return (node,)
    # The function keeps the name, which is that of the tensor that others read.
    total = replace(node, name=sum_of(node.name), function=None, given=None)
    # The quantizer is a part of what is looked up.
    whole = node.function if node.given is None else node.given.function.of(node.function)
    function = FloatFunction(name=node.name, inputs=(total.name,), shape=node.shape, function=whole)
    return total, function


def activated(node: FloatOperator, x: Tensor) -> Tensor:
    """What the operator's own clamp or function makes of ``x``."""
    x = clamped(x, node.low, node.high) if node.function is None else node.function(x)
    return x if node.given is None else node.given(x)


def activation_text(node: FloatOperator) -> list[str]:
    """The bounds and the function, where there are any."""
    values = {"low": node.low, "high": node.high, "function": node.function}
    texts = options(values, dict.fromkeys(values))
    return texts if node.given is None else [*texts, f"given={node.given}"]


def _clamped_steps(node, activation):
    """The operator whose quantizer has the clamp's bounds; None: they are between two steps."""
    given = node.given
    if not isinstance(activation, Clamp):
        return None
    bounds = (activation.low, activation.high)
    # Rounding first, as the network does: bounds between two steps would be others behind it.
    steps = [b if b is None else b / given.scale + given.zero_point for b in bounds]
    if any(step is not None and step % 1 for step in steps):
        return None
    least = given.least if steps[0] is None else max(given.least, int(steps[0]))
    most = given.most if steps[1] is None else min(given.most, int(steps[1]))
    return replace(node, given=replace(given, least=least, most=most)) if least <= most else None


def _both(node, clamp):
    """The bounds of the clamp applied to what the operator's own clamp gives."""

    def within(bound):
        bound = bound if clamp.low is None else max(bound, clamp.low)
        return bound if clamp.high is None else min(bound, clamp.high)

    # A clamp of a clamp is one: the inner bounds, as far as the outer ones let them.
    low = clamp.low if node.low is None else within(node.low)
    high = clamp.high if node.high is None else within(node.high)
    return low, high
