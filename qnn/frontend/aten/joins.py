"""ATen's concatenation of tensors."""

from qnn.frontend.aten.call import Call, computed
from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.ops.operator import FloatOperator


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
    "aten.cat": concat,
    "aten.concat": concat,
}
