"""ATen's operators on several tensors: the sum of two, and concatenation."""

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.concat import FloatConcat


def add(call: Call) -> Add:
    """The sum of two tensors of one shape."""
    one, other = call.source("self"), call.source("other")
    if call["alpha"] != 1:
        raise call.refuse("alpha=1", f"alpha={call['alpha']}", "scale inside a Conv2d")
    if one.shape != other.shape:
        raise call.refuse(
            "two tensors of one shape", f"{one.shape} and {other.shape}", "do not broadcast"
        )
    return Add(name=call.name, inputs=(one.name, other.name), shape=one.shape)


def concat(call: Call) -> FloatConcat | str:
    """Channels one after the other."""
    names, shape = call["tensors"], call.shape
    if not all(isinstance(name, str) for name in names):
        raise call.refuse("operands computed from the input", "a constant", "pad instead")
    # dim may be negative or a vector's: the shapes tell whether channels were joined.
    if sum(call.nodes[name].shape[0] for name in names) != shape[0]:
        raise call.refuse("dim=1 (channels)", f"dim={call['dim']}", "concatenate channels")
    # Nothing is joined: the result is the operand.
    if len(names) == 1:
        return names[0]
    return FloatConcat(name=call.name, inputs=tuple(names), shape=shape)


OPERATORS = {
    "aten.add": add,
    "aten.cat": concat,
    "aten.concat": concat,
}
