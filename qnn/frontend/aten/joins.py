"""ATen's concatenation of tensors."""

from itertools import accumulate

from qnn.frontend.aten.call import Call, computed
from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.ops.interleave import FloatInterleave
from qnn.frontend.ops.operator import FloatOperator


def concat(call: Call) -> FloatOperator:
    """Channels one after the other, or rows or columns."""
    sources, shape, dim = call["tensors"], call.shape, call["dim"]
    if not all(computed(source) for source in sources):
        raise call.refuse("operands computed from the input", "a constant", "pad instead")
    axis = dim % call.rank("tensors")
    if axis == 0:
        raise call.refuse("dim=1, 2 or 3 (channels, height or width)", f"dim={dim}", "keep images")
    # Nothing is joined: the result is the operand.
    if len(sources) == 1:
        return sources[0]
    names = tuple(source.name for source in sources)
    if axis > 1:
        return _side_by_side(call, sources, axis - 2)
    return FloatConcat(name=call.name, inputs=names, shape=shape)


def _side_by_side(call: Call, sources: list[FloatOperator], axis: int) -> FloatInterleave:
    """Rows below rows, or columns beside columns."""
    ends = list(accumulate((source.shape[1 + axis] for source in sources), initial=0))
    places = [(end, 0) if axis == 0 else (0, end) for end in ends[:-1]]
    return FloatInterleave(
        name=call.name,
        inputs=tuple(source.name for source in sources),
        shape=call.shape,
        step=(1, 1),
        offsets=tuple(places),
    )


OPERATORS = {
    "aten.cat": concat,
    "aten.concat": concat,
}
