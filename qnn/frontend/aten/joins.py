"""ATen's operators on several tensors: the sum of two, and concatenation."""

from qnn.frontend.aten.call import Call, computed
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.ops.operator import FloatOperator


def add(call: Call) -> Add:
    """The sum of two tensors of one shape."""
    one, other = call.source("self"), call.source("other")
    if call["alpha"] != 1:
        raise call.refuse("alpha=1", f"alpha={call['alpha']}", "scale inside a Conv2d")
    # Vectors and images of one pixel have one shape here, and would be broadcast by PyTorch.
    if one.shape != other.shape or call.rank("self") != call.rank("other"):
        raise call.refuse(
            "two tensors of one shape", f"{one.shape} and {other.shape}", "do not broadcast"
        )
    return Add(name=call.name, inputs=(one.name, other.name), shape=one.shape)


def concat(call: Call) -> FloatOperator:
    """Channels one after the other."""
    sources, shape, dim = call["tensors"], call.shape, call["dim"]
    if not all(computed(source) for source in sources):
        raise call.refuse("operands computed from the input", "a constant", "pad instead")
    if dim % call.rank("tensors") != 1:
        raise call.refuse("dim=1 (channels)", f"dim={dim}", "concatenate channels")
    # Nothing is joined: the result is the operand.
    if len(sources) == 1:
        return sources[0]
    names = tuple(source.name for source in sources)
    return FloatConcat(name=call.name, inputs=names, shape=shape)


OPERATORS = {
    "aten.add": add,
    "aten.cat": concat,
    "aten.concat": concat,
}
