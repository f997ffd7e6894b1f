"""ONNX's sums, means and choices over axes in PyTorch's words."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall, Reader


def _over(function: Callable[[Tensor, list[int], bool], Tensor]) -> Reader:
    """A reduction over axes, which are an attribute or an input, or all."""

    def read(call: OnnxCall) -> Tensor:
        x, axes = call[0], call.ints(1, "axes")
        if not axes:
            # No axes are all of them, unless the node says that they are none: then each value is
            # reduced by itself, and a sum of squares is a square.
            if call.attribute("noop_with_empty_axes", 0):
                return function(x.unsqueeze(0), [0], False)
            axes = list(range(x.dim()))
        return function(x, [axis % x.dim() for axis in axes], bool(call.attribute("keepdims", 1)))

    return read


def _product(x, axes, keep):
    for axis in sorted(axes, reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def _chosen(function: Callable[..., Tensor]) -> Reader:
    def read(call: OnnxCall) -> Tensor:
        call.require(
            not call.attribute("select_last_index", 0),
            "the first of equal values",
            "the last",
            "leave select_last_index out",
        )
        keep = bool(call.attribute("keepdims", 1))
        return function(call[0], call.attribute("axis", 0), keepdim=keep)

    return read


def accumulated(call: OnnxCall) -> Tensor:
    """CumSum from the first value on."""
    # Others are the same of a tensor in reverse, or less its own values.
    plain = not call.attribute("exclusive", 0) and not call.attribute("reverse", 0)
    call.require(plain, "sums that count their own value", "others", "flip it")
    return call[0].cumsum(int(call.number(1)))


def greatest(call: OnnxCall) -> tuple[Tensor, Tensor]:
    """TopK."""
    axis, count = call.attribute("axis", -1), int(call.number(1))
    largest, ordered = bool(call.attribute("largest", 1)), bool(call.attribute("sorted", 1))
    return tuple(torch.topk(call[0], count, axis, largest, ordered))


OPERATORS: Mapping[str, Reader] = {
    "ReduceMean": _over(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
    "ReduceSum": _over(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
    "ReduceMax": _over(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
    "ReduceMin": _over(lambda x, axes, keep: x.amin(axes, keepdim=keep)),
    "ReduceProd": _over(_product),
    "ReduceL1": _over(lambda x, axes, keep: x.abs().sum(axes, keepdim=keep)),
    "ReduceL2": _over(lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keep)),
    "ReduceSumSquare": _over(lambda x, axes, keep: (x * x).sum(axes, keepdim=keep)),
    "ReduceLogSum": _over(lambda x, axes, keep: x.sum(axes, keepdim=keep).log()),
    "ReduceLogSumExp": _over(lambda x, axes, keep: torch.logsumexp(x, axes, keep)),
    "ArgMax": _chosen(torch.argmax),
    "ArgMin": _chosen(torch.argmin),
    "CumSum": accumulated,
    "TopK": greatest,
}
