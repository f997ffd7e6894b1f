"""ATen's means, sums and extremes over axes."""

from dataclasses import replace

from qnn.frontend.aten.call import Call
from qnn.frontend.reductions import MAXIMUM, MEAN, MINIMUM, SUM, Reduction
from qnn.frontend.views import Held, is_view, whole


def reduced(call: Call, kind: str) -> Held:
    """The reduction over the axes that are named, or over all."""
    # What it computes has its own name, whatever the view is of.
    view, rank = replace(call.view(), name=call.name, site=call.site), call.rank()
    dims = call.get("dim")
    dims = [dims] if isinstance(dims, int) else dims or range(rank)
    # What was stacked before the batch lies behind it here, and in the result if it is kept.
    batch = view.batch_axis(call.make.batch)
    view = replace(view, index=view.index.movedim(batch, 0))
    axes = tuple(sorted({_behind(dim % rank, batch) for dim in dims}))
    if -1 in axes:
        got = "all axes" if len(axes) == rank else "the axis of the batch"
        cure = "name the other axes, as in x.mean((2, 3))"
        raise call.refuse("a reduction of one image", got, cure)
    keep = bool(call.get("keepdim", False))
    found = Reduction(kind, call.make)(view, axes, keep)
    back = batch if keep else batch - sum(axis < batch for axis in axes)
    if back == 0:
        return found
    # Axes that were before the batch and are left are before it again.
    given = found if is_view(found) else whole(found, (call.make.batch, *found.shape))
    return replace(given, index=given.index.movedim(0, back))


def _behind(axis: int, batch: int) -> int:
    """Where an axis of a tensor lies without its batch; -1 is the batch's own."""
    return -1 if axis == batch else axis - (axis > batch)


OPERATORS = {
    "aten.mean": lambda call: reduced(call, MEAN),
    "aten.sum": lambda call: reduced(call, SUM),
    "aten.amax": lambda call: reduced(call, MAXIMUM),
    "aten.amin": lambda call: reduced(call, MINIMUM),
    "aten.max": lambda call: reduced(call, MAXIMUM),
    "aten.min": lambda call: reduced(call, MINIMUM),
}
