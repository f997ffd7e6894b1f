"""ATen's padding with zeros; what else moves values is read by ``qnn.frontend.views``."""

from qnn.frontend.aten.call import Call
from qnn.frontend.aten.enlarge import pad as pad_by_copies
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.pad import Pad


def pad(call: Call) -> FloatOperator:
    """Zeros around the image or its channels."""
    source, amounts = call.source(), list(call["pad"])
    mode, value = call.get("mode", "constant"), call.get("value")
    if mode != "constant":
        return pad_by_copies(call)
    if value:
        raise call.refuse("padding with zeros", f"value={value}", "pad with zeros")
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


OPERATORS = {
    "aten.pad": pad,
    "aten.constant_pad_nd": pad,
}
