"""ONNX's convolutions and poolings in PyTorch's words: windows, and the pads around them."""

from collections.abc import Mapping, Sequence
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall, Reader

CONVOLUTIONS = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
TRANSPOSED = {1: torch.conv_transpose1d, 2: torch.conv_transpose2d, 3: torch.conv_transpose3d}
MAXIMA = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
MEANS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
LOWEST = -float("inf")


class PaddedWindow:
    """Kernel, stride, dilation and pads of a node, per axis of space.

    Members
    -------
    before, after : pads
    """

    def __init__(self, call: OnnxCall, size: Sequence[int], kernel: Sequence[int]):
        rank = len(size)
        call.require(
            rank in CONVOLUTIONS and len(kernel) == rank,
            "one to three axes of space, and a kernel over them",
            f"{rank} and a kernel over {len(kernel)}",
            "export the model again",
        )
        self.kernel = list(kernel)
        self.stride = list(call.attribute("strides", [1] * rank))
        self.dilation = list(call.attribute("dilations", [1] * rank))
        pads = list(call.attribute("pads", [0] * 2 * rank))
        self.before, self.after = pads[:rank], pads[rank:]
        automatic = call.attribute("auto_pad", "NOTSET")
        if automatic.startswith("SAME"):
            self._pad_alike(size, upper=automatic == "SAME_UPPER")

    def _pad_alike(self, size, upper):
        """Pads that give a result of size / stride; the odd one lies behind, or before."""
        for axis, length in enumerate(size):
            # What a kernel reaches over, with the holes of its dilation.
            reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
            steps = ceil(length / self.stride[axis])
            pads = max((steps - 1) * self.stride[axis] + reach - length, 0)
            low, high = pads // 2, pads - pads // 2
            self.before[axis], self.after[axis] = (low, high) if upper else (high, low)

    @property
    def is_even(self) -> bool:
        """Whether as much is padded before as behind, and nothing is cut off."""
        return self.before == self.after and min(self.before, default=0) >= 0

    def padded(self, x: Tensor, value: float = 0.0) -> Tensor:
        """``x`` with its pads around it."""
        pairs = list(zip(self.before, self.after, strict=True))
        return F.pad(x, [each for pair in reversed(pairs) for each in pair], value=value)


def convolution(call: OnnxCall) -> Tensor:
    """Conv."""
    x, weight, bias = call[0], call[1], call.tensor(2)
    window = PaddedWindow(call, x.shape[2:], weight.shape[2:])
    operator = CONVOLUTIONS[x.dim() - 2]
    pads = window.before
    if not window.is_even:
        x, pads = window.padded(x), [0] * len(pads)
    groups = call.attribute("group", 1)
    return operator(x, weight, bias, window.stride, pads, window.dilation, groups)


def transposed(call: OnnxCall) -> Tensor:
    """ConvTranspose: what lies beyond its pads is cut off."""
    x, weight, bias = call[0], call[1], call.tensor(2)
    window = PaddedWindow(call, x.shape[2:], weight.shape[2:])
    rank, operator = x.dim() - 2, TRANSPOSED[x.dim() - 2]
    more = list(call.attribute("output_padding", [0] * rank))
    reach = [d * (k - 1) + 1 for d, k in zip(window.dilation, window.kernel, strict=True)]
    whole = [(x.shape[2 + n] - 1) * window.stride[n] + reach[n] + more[n] for n in range(rank)]
    automatic, wanted = call.attribute("auto_pad", "NOTSET"), call.attribute("output_shape")
    if wanted is None and automatic.startswith("SAME"):
        wanted = [x.shape[2 + n] * window.stride[n] for n in range(rank)]
    if wanted is not None:
        pads = [size - asked for size, asked in zip(whole, list(wanted)[-rank:], strict=True)]
        low, high = [each // 2 for each in pads], [each - each // 2 for each in pads]
        upper = automatic == "SAME_UPPER"
        window.before, window.after = (low, high) if upper else (high, low)
    groups, step = call.attribute("group", 1), window.stride
    small = all(each < max(s, d) for each, s, d in zip(more, step, window.dilation, strict=True))
    if window.is_even and small:
        return operator(x, weight, bias, step, window.before, more, groups, window.dilation)
    # Rows beyond the last that a kernel reaches have the bias alone, which PyTorch pads only less
    # than a stride of: cut after it, as a pad less than 0.
    behind = [after - each for after, each in zip(window.after, more, strict=True)]
    found = operator(x, weight, None, step, 0, 0, groups, window.dilation)
    pairs = list(zip(window.before, behind, strict=True))
    found = F.pad(found, [-each for pair in reversed(pairs) for each in pair])
    return found if bias is None else found + bias.reshape(-1, *(1,) * rank)


def maximum(call: OnnxCall) -> Tensor:
    """MaxPool; the places of the maxima are not given."""
    x = call[0]
    window = PaddedWindow(call, x.shape[2:], call.attribute("kernel_shape"))
    call.require(
        len(call.node.outputs) < 2 or not call.node.outputs[1],
        "its first result alone to be used",
        "the places of the maxima",
        "leave them out",
    )
    # PyTorch pads by half of a kernel at most, and alike on both sides; what is lower than anything
    # is a pad that no maximum takes.
    pads, half = window.before, [size // 2 for size in window.kernel]
    if not window.is_even or any(p > h for p, h in zip(pads, half, strict=True)):
        x, pads = window.padded(x, LOWEST), [0] * len(pads)
    ceils = bool(call.attribute("ceil_mode", 0))
    return MAXIMA[x.dim() - 2](x, window.kernel, window.stride, pads, window.dilation, ceils)


def mean(call: OnnxCall) -> Tensor:
    """AveragePool."""
    x = call[0]
    window = PaddedWindow(call, x.shape[2:], call.attribute("kernel_shape"))
    operator = MEANS[x.dim() - 2]
    ceils = bool(call.attribute("ceil_mode", 0))
    counts = bool(call.attribute("count_include_pad", 0))
    call.require(
        set(window.dilation) == {1}, "a dilation of 1", f"{window.dilation}", "use a MaxPool"
    )
    half = [size // 2 for size in window.kernel]
    if window.is_even and all(p <= h for p, h in zip(window.before, half, strict=True)):
        return operator(x, window.kernel, window.stride, window.before, ceils, counts)
    padded = window.padded(x)
    found = operator(padded, window.kernel, window.stride, 0, ceils, True)
    if counts:
        return found
    # How much of each window lies within the image.
    inside = window.padded(torch.ones(1, 1, *x.shape[2:], device=x.device))
    return found * operator(inside, window.kernel, window.stride, 0, ceils, True).reciprocal()


def _over_space(x):
    return list(range(2, x.dim()))


def global_mean(call: OnnxCall) -> Tensor:
    """GlobalAveragePool."""
    return call[0].mean(_over_space(call[0]), keepdim=True)


def global_maximum(call: OnnxCall) -> Tensor:
    """GlobalMaxPool."""
    return call[0].amax(_over_space(call[0]), keepdim=True)


OPERATORS: Mapping[str, Reader] = {
    "Conv": convolution,
    "ConvTranspose": transposed,
    "MaxPool": maximum,
    "AveragePool": mean,
    "GlobalAveragePool": global_mean,
    "GlobalMaxPool": global_maximum,
}
