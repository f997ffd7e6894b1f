"""ATen's concatenation of tensors."""

from itertools import accumulate, groupby

from torch import Tensor

from qnn.frontend.aten.call import Call, computed
from qnn.frontend.aten.constant_map import block_for, constant_map
from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.ops.interleave import FloatInterleave
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.pad import Pad


def concat(call: Call) -> FloatOperator:
    """Channels one after the other, or rows or columns; zeros around channels are padding."""
    sources, dim = call["tensors"], call["dim"]
    axis = dim % call.rank("tensors")
    sources = _with_maps(call, sources) if axis == 1 else sources
    parts = [(kind, list(part)) for kind, part in groupby(sources, computed)]
    held = [part for kind, part in parts if kind]
    constants = [each for kind, part in parts if not kind for each in part]
    if len(held) != 1 or (constants and (axis != 1 or not all(map(_is_zero, constants)))):
        raise call.refuse("operands computed from the input", "a constant", "pad instead")
    if axis == 0:
        raise call.refuse("dim=1, 2 or 3 (channels, height or width)", f"dim={dim}", "keep images")
    # Nothing is joined: the result is the operand.
    if len(sources) == 1:
        return sources[0]
    if axis > 1:
        return _side_by_side(call, sources, axis - 2)
    if not constants:
        names = tuple(source.name for source in sources)
        return FloatConcat(name=call.name, inputs=names, shape=call.shape)
    ends = (0 if kind else sum(x.shape[1] for x in part) for kind, part in (parts[0], parts[-1]))
    return _padded(call, held[0], tuple(ends))


def _padded(call, sources, channels):
    """The operands, joined if there are several, between zero channels."""
    inner = sources[0]
    if len(sources) > 1:
        names = tuple(source.name for source in sources)
        shape = (sum(source.shape[0] for source in sources), *call.shape[1:])
        # Two operators of one call: only the last can have its name.
        joined = FloatConcat(name=f"{call.name}.concat", inputs=names, shape=shape)
        inner = call.make.add(joined)
    return Pad(
        name=call.name,
        inputs=(inner.name,),
        shape=call.shape,
        padding=(0, 0, 0, 0),
        channels=channels,
    )


def _with_maps(call, sources):
    """The operands, with constants of channels that differ from 0 as maps."""
    # Which one does not matter: nothing of its values is left.
    first = next(source for source in sources if computed(source))

    def held(value):
        if not isinstance(value, Tensor) or _is_zero(value):
            return value
        found = call.aligned(value)
        # Of another constant for each image, or of too large a map, the fault is told behind.
        if found is None or block_for(found.shape) is None:
            return value
        return constant_map(call.name, found, first, call.make)

    return [held(source) for source in sources]


def _is_zero(value):
    return isinstance(value, Tensor) and not bool(value.any())


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
