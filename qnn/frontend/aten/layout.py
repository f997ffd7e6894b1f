"""ATen's operators that move values: reshaping, padding and slices."""

import math

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.flatten import Flatten
from qnn.frontend.ops.pad import Pad
from qnn.frontend.ops.slice import Slice


def reshape(call: Call) -> Flatten | str:
    """A flatten, or nothing where the shape stays."""
    source, shape = call.source(), call.shape
    if shape == source.shape:
        return source.name
    if shape != (math.prod(source.shape), 1, 1):
        raise call.refuse(
            "to keep the shape or flatten all but the batch",
            f"{source.shape} to {shape}",
            "use x.flatten(1)",
        )
    return Flatten(name=call.name, inputs=(source.name,), shape=shape)


def pad(call: Call) -> Pad | str:
    """Zeros around the image or its channels."""
    source, amounts = call.source(), list(call["pad"])
    if call.arguments.get("mode", "constant") != "constant" or call.arguments.get("value"):
        got = call.arguments.get("mode", "constant")
        got = f"value={call['value']}" if got == "constant" else f"mode '{got}'"
        raise call.refuse("padding with zeros", got, "pad with zeros")
    if min(amounts, default=0) < 0:
        raise call.refuse("amounts of 0 or more", f"{tuple(amounts)}", "do not crop with pad")
    if not any(amounts):
        return source.name
    # F.pad counts from the last axis, and may name only the first few.
    left, right, top, bottom, front, behind = (amounts + [0] * 6)[:6]
    if any(amounts[6:]):
        raise call.refuse("to leave the batch", f"{tuple(amounts)}", "pad images only")
    return Pad(
        name=call.name,
        inputs=(source.name,),
        shape=call.shape,
        padding=(top, bottom, left, right),
        channels=(front, behind),
    )


def slice_(call: Call) -> Slice | str:
    """Every n-th row or column of the whole image; slices of slices are one."""
    source, shape, dim = call.source(), call.shape, call["dim"] % 4
    if shape == source.shape:
        return source.name
    size = source.shape[dim - 1] if dim else 0
    whole = not call["start"] and (call["end"] is None or call["end"] >= size)
    if dim not in (2, 3) or not whole:
        raise call.refuse(
            "to take every n-th row or column of the whole image",
            f"dim={call['dim']}, start={call['start']}, end={call['end']}",
            "use x[:, :, ::n, ::n]",
        )
    stride = (call["step"], 1) if dim == 2 else (1, call["step"])
    previous = source
    # Rows and columns are sliced one after the other, by two operators.
    if isinstance(previous, Slice):
        stride = (stride[0] * previous.stride[0], stride[1] * previous.stride[1])
        source = call.nodes[previous.inputs[0]]
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
