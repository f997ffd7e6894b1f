"""ATen's padding with a number; what else moves values is read by ``qnn.frontend.views``."""

import torch

from qnn.frontend.aten.call import Call
from qnn.frontend.aten.enlarge import pad as pad_by_copies
from qnn.frontend.ops.affine import affine_of
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.pad import Pad
from qnn.frontend.ops.slice import Slice
from qnn.ir.window import Padding, Pair

# A padding has to lie in the range of the image's number format, or it would widen that range.
MOST = 1e4


def pad(call: Call) -> FloatOperator:
    """One number around the image or its channels."""
    source, amounts = call.source(), list(call["pad"])
    mode, value = call.get("mode", "constant"), call.get("value")
    if mode != "constant":
        return pad_by_copies(call)
    if not any(amounts):
        return source
    if value:
        return _with_value(call, source, value)
    return _with_zeros(call, call.name, source)


def _with_value(call, source, value):
    """Another number around the image: what lies over it, with zeros around that."""
    if not abs(value) <= MOST:
        needs, do = f"a padding of at most {MOST:g}", "pad with a number that the image may have"
        raise call.refuse(needs, f"value={value}", do)
    over = call.make.add(affine_of(f"{call.name}.over", source, 1.0, -value))
    padded = call.make.add(_with_zeros(call, f"{call.name}.zeros", over))
    return affine_of(call.name, padded, 1.0, value)


def _with_zeros(call, name, source):
    amounts = list(call["pad"])
    # F.pad counts from the last axis, and may name only the first few. Sequences have no columns,
    # and vectors no rows either.
    missing = [0] * 2 * (4 - call.rank())
    left, right, top, bottom, front, behind, *batch = missing + amounts + [0] * 6
    if any(batch):
        raise call.refuse("to leave the batch", f"{tuple(amounts)}", "pad images only")
    # A crop on one side and zeros on the other, as a causal shift has them.
    if min(amounts) < 0:
        source = _cropped(call, source, (top, bottom, left, right), (front, behind))
        left, right, top, bottom = (max(each, 0) for each in (left, right, top, bottom))
        front, behind = max(front, 0), max(behind, 0)
    return Pad(
        name=name,
        inputs=(source.name,),
        shape=call.shape,
        padding=(top, bottom, left, right),
        channels=(front, behind),
    )


def _cropped(call: Call, source: FloatOperator, space: Padding, channels: Pair) -> FloatOperator:
    """The source without what negative amounts take from it."""
    count, height, width = source.shape
    top, bottom, left, right, front, behind = (max(-each, 0) for each in (*space, *channels))
    # Two operators of one call: only the padding can have its name.
    kept = torch.arange(front, count - behind)
    source = call.make.gathered(f"{call.name}.channels", source, kept)
    size = (height - top - bottom, width - left - right)
    if size == (height, width):
        return source
    return call.make.add(
        Slice(
            name=f"{call.name}.crop",
            inputs=(source.name,),
            shape=(len(kept), *size),
            start=(top, left),
            size=size,
        )
    )


OPERATORS = {
    "aten.pad": pad,
    "aten.constant_pad_nd": pad,
}
