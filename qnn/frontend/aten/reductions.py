"""ATen's means, sums and maxima over axes."""

from dataclasses import replace

from qnn.frontend.aten.call import Call
from qnn.frontend.reductions import MAXIMUM, MEAN, SUM, Reduction
from qnn.frontend.views import Held


def reduced(call: Call, kind: str) -> Held:
    """The reduction over the axes that are named, or over all."""
    # What it computes has its own name, whatever the view is of.
    view, rank = replace(call.view(), name=call.name, site=call.site), call.rank()
    dims = call.get("dim")
    dims = [dims] if isinstance(dims, int) else dims or range(rank)
    axes = tuple(sorted({dim % rank - 1 for dim in dims}))
    if -1 in axes:
        got = "all axes" if len(axes) == rank else "the first axis, the batch's"
        cure = "name the other axes, as in x.mean((2, 3))"
        raise call.refuse("a reduction of one image", got, cure)
    return Reduction(kind, call.make)(view, axes, bool(call.get("keepdim", False)))


OPERATORS = {
    "aten.mean": lambda call: reduced(call, MEAN),
    "aten.sum": lambda call: reduced(call, SUM),
    "aten.amax": lambda call: reduced(call, MAXIMUM),
    "aten.max": lambda call: reduced(call, MAXIMUM),
}
