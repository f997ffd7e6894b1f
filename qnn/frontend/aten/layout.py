"""ATen's operators that move values: reshaping, padding and slices."""

import math

from qnn.frontend.aten.call import TO_THE_END, Call, said
from qnn.frontend.ops.flatten import Flatten
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.pad import Pad
from qnn.frontend.ops.slice import Slice


def reshape(call: Call) -> FloatOperator:
    """A flatten, or nothing where the shape stays."""
    source, shape = call.source(), call.shape
    # Values keep their order, so that the result's shape tells all that these could.
    call.neutral("size", "shape", "start_dim", "end_dim", "dim")
    if shape == source.shape:
        return source
    if shape != (math.prod(source.shape), 1, 1):
        raise call.refuse(
            "to keep the shape or flatten all but the batch",
            f"{source.shape} to {shape}",
            "use x.flatten(1)",
        )
    return Flatten(name=call.name, inputs=(source.name,), shape=shape)


def pad(call: Call) -> FloatOperator:
    """Zeros around the image or its channels."""
    source, amounts = call.source(), list(call["pad"])
    mode, value = call.get("mode", "constant"), call.get("value")
    if mode != "constant" or value:
        got = f"mode '{mode}'" if mode != "constant" else f"value={value}"
        raise call.refuse("padding with zeros", got, "pad with zeros")
    if min(amounts, default=0) < 0:
        raise call.refuse("amounts of 0 or more", f"{tuple(amounts)}", "do not crop with pad")
    if not any(amounts):
        return source
    # F.pad counts from the last axis, and may name only the first few; vectors have no rows.
    columns_and_rows = [0] * 4 if call.rank() == 2 else []
    left, right, top, bottom, front, behind, *batch = columns_and_rows + amounts + [0] * 6
    if any(batch):
        raise call.refuse("to leave the batch", f"{tuple(amounts)}", "pad images only")
    return Pad(
        name=call.name,
        inputs=(source.name,),
        shape=call.shape,
        padding=(top, bottom, left, right),
        channels=(front, behind),
    )


def slice_(call: Call) -> FloatOperator:
    """Every n-th row or column of the whole image; slices of slices are one."""
    source, shape, dim = call.source(), call.shape, call["dim"] % call.rank()
    start, end, step = call["start"], call["end"], call["step"]
    if shape == source.shape:
        return source
    size = source.shape[dim - 1] if dim else 0
    whole = not start and (end is None or end >= size)
    if dim not in (2, 3) or not whole:
        raise call.refuse(
            "to take every n-th row or column of the whole image",
            f"dim={call['dim']} from {start or 0} to {said(TO_THE_END if end is None else end)}",
            "use x[:, :, ::n, ::n]",
        )
    stride = (step, 1) if dim == 2 else (1, step)
    # Rows and columns are sliced one after the other, by two operators.
    if isinstance(source, Slice):
        stride = (stride[0] * source.stride[0], stride[1] * source.stride[1])
        source = call.nodes[source.inputs[0]]
    return Slice(name=call.name, inputs=(source.name,), shape=shape, stride=stride)


OPERATORS = {
    "aten.flatten": reshape,
    "aten.view": reshape,
    "aten.reshape": reshape,
    "aten._unsafe_view": reshape,
    "aten.squeeze": reshape,
    "aten.unsqueeze": reshape,
    "aten.pad": pad,
    "aten.constant_pad_nd": pad,
    "aten.slice": slice_,
}
