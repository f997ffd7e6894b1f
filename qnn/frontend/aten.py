"""ATen operators as nodes of the float graph: one function each, and the table of them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.frontend.float_graph import (
    NO_PADDING,
    Add,
    AveragePool,
    BatchNorm,
    Clamp,
    Concat,
    Conv,
    Flatten,
    MaxPool,
    Node,
    Pad,
    Slice,
    Statistics,
)
from qnn.ir.shape import Shape

SUPPORTED = (
    "Conv2d, Linear, BatchNorm, ReLU, ReLU6, Hardtanh, clamp, MaxPool2d, AvgPool2d, "
    "AdaptiveAvgPool2d, mean over space, add, cat over channels, flatten, Dropout, ZeroPad2d, "
    "strided slices and Identity"
)


@dataclass(frozen=True)
class Call:
    """One operator call of the exported program.

    Members
    -------
    arguments : by the names of its schema; activations are names of nodes, weights are tensors
    nodes : what was read so far
    shape : gives the result's shape, or raises that it is none of ours
    """

    name: str
    arguments: Mapping[str, Any]
    nodes: Mapping[str, Node]
    shape: Callable[[], Shape]

    def __getitem__(self, key: str) -> Any:
        return self.arguments[key]

    def refuse(self, needs: str, got: str, do: str) -> ModelError:
        """The error that this layer is none of ours."""
        return ModelError(f"layer '{self.name}' needs {needs}, not {got}; {do}")

    def source(self, key: str = "input") -> Node:
        """The node behind an activation operand."""
        value = self.arguments.get(key, self.arguments.get("self"))
        if not isinstance(value, str):
            raise self.refuse(
                "operands computed from the input", "a constant", "fold it into a Conv2d or Linear"
            )
        return self.nodes[value]

    def weight(self, key: str) -> Tensor | None:
        """A weight operand: float32, finite."""
        value = self.arguments[key]
        if value is None:
            return None
        if not isinstance(value, Tensor):
            raise self.refuse(f"a constant {key}", "one computed from the input", "use a parameter")
        if not bool(torch.isfinite(value).all()):
            raise ModelError(
                f"layer '{self.name}': its {key} holds NaN or infinity; train or load it again"
            )
        return value.detach().to(torch.float32).contiguous()


def _pair(value: int | list[int], default: tuple[int, int] = (1, 1)) -> tuple[int, int]:
    if isinstance(value, int):
        return (value, value)
    if not value:
        return default
    return (value[0], value[-1])


def _conv2d(call: Call) -> Conv:
    weight, dilation = call.weight("weight"), _pair(call["dilation"])
    return Conv(
        name=call.name,
        inputs=(call.source().name,),
        shape=call.shape(),
        weight=weight,
        bias=call.weight("bias"),
        stride=_pair(call["stride"]),
        padding=_conv_padding(call["padding"], weight.shape[2:], dilation),
        dilation=dilation,
        groups=call["groups"],
    )


def _conv_padding(padding, kernel, dilation):
    if padding == "same":
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        (top, left), (bottom, right) = ([t // 2 for t in total], [t - t // 2 for t in total])
        return (top, bottom, left, right)
    vertical, horizontal = (0, 0) if padding == "valid" else _pair(padding)
    return (vertical, vertical, horizontal, horizontal)


def _linear(call: Call) -> Conv:
    weight = call.weight("weight")
    shape = call.shape()
    if call.source().shape[1:] != (1, 1) or shape[1:] != (1, 1):
        raise call.refuse(
            "a vector", f"a tensor of shape {call.source().shape}", "put a flatten before it"
        )
    return Conv(
        name=call.name,
        inputs=(call.source().name,),
        shape=shape,
        weight=weight[:, :, None, None],
        bias=call.weight("bias"),
    )


def _batch_norm(call: Call) -> BatchNorm:
    source = call.source()
    mean, var = call.weight("running_mean"), call.weight("running_var")
    gamma, beta = call.weight("weight"), call.weight("bias")
    gamma = torch.ones_like(mean) if gamma is None else gamma
    beta = torch.zeros_like(mean) if beta is None else beta
    if not bool((var + call["eps"] > 0).all()):
        raise ModelError(
            f"layer '{call.name}': channel {int((var + call['eps'] <= 0).nonzero()[0])} has no "
            f"range (variance plus eps is 0); give eps a positive value or remove the channel"
        )
    statistics = Statistics(gamma, beta, mean, var, call["eps"])
    return BatchNorm(
        name=call.name, inputs=(source.name,), shape=source.shape, statistics=statistics
    )


def _batch_statistics(call: Call) -> None:
    raise call.refuse(
        "running statistics",
        "statistics of the batch",
        "build it with track_running_stats=True",
    )


def _clamp_to(call: Call, low, high) -> Clamp:
    source = call.source()
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        raise call.refuse("numbers as bounds", "tensors", "use one bound for all channels")
    if low is not None and high is not None and low > high:
        raise call.refuse("a lower bound under the upper one", f"{low} and {high}", "swap them")
    low, high = (None if b is None or math.isinf(b) else float(b) for b in (low, high))
    return Clamp(name=call.name, inputs=(source.name,), shape=source.shape, low=low, high=high)


def _window_padding(size, out, kernel, stride, dilation, before):
    """(before, behind) so that exactly ``out`` windows fit."""
    return before, max((out - 1) * stride + dilation * (kernel - 1) + 1 - size - before, 0)


def _max_pool(call: Call) -> MaxPool:
    source, shape = call.source(), call.shape()
    kernel, dilation = _pair(call["kernel_size"]), _pair(call["dilation"])
    stride, padding = _pair(call["stride"], kernel), _pair(call["padding"])
    vertical, horizontal = (
        _window_padding(source.shape[a + 1], shape[a + 1], kernel[a], stride[a], dilation[a], p)
        for a, p in enumerate(padding)
    )
    return MaxPool(
        name=call.name,
        inputs=(source.name,),
        shape=shape,
        kernel=kernel,
        stride=stride,
        padding=(*vertical, *horizontal),
        dilation=dilation,
    )


def _avg_pool(call: Call) -> AveragePool:
    source, shape, kernel = call.source(), call.shape(), _pair(call["kernel_size"])
    stride, padding = _pair(call["stride"], kernel), _pair(call["padding"])
    if any(padding) and not call["count_include_pad"]:
        raise call.refuse(
            "one divisor for all windows",
            "count_include_pad=False with padding",
            "set count_include_pad=True or padding=0",
        )
    whole = tuple(
        (source.shape[a + 1] + 2 * padding[a] - kernel[a]) // stride[a] + 1 for a in (0, 1)
    )
    if shape[1:] != whole:
        raise call.refuse(
            "whole windows", "ceil_mode=True with windows cut at the edge", "set ceil_mode=False"
        )
    return AveragePool(
        name=call.name,
        inputs=(source.name,),
        shape=shape,
        kernel=kernel,
        stride=stride,
        padding=(padding[0], padding[0], padding[1], padding[1]),
        divisor=call["divisor_override"] or math.prod(kernel),
    )


def _pool_to(call: Call, size: tuple[int, int]) -> AveragePool:
    """Average pooling to a size, where all of its windows are alike."""
    source = call.source()
    windows = [_windows(n, count) for n, count in zip(source.shape[1:], size, strict=True)]
    if None in windows:
        raise call.refuse(
            "an output size that gives windows of one size and stride",
            f"{size[0]}x{size[1]} of {source.shape[1]}x{source.shape[2]}",
            "choose one that divides the input's",
        )
    kernel, stride = zip(*windows, strict=True)
    return AveragePool(
        name=call.name,
        inputs=(source.name,),
        shape=(source.shape[0], *size),
        kernel=kernel,
        stride=stride,
        padding=NO_PADDING,
        divisor=math.prod(kernel),
    )


def _windows(size: int, count: int) -> tuple[int, int] | None:
    """Kernel and stride of the ``count`` windows that PyTorch lays over ``size``, if all alike."""
    stride = size // count
    kernel = size - (count - 1) * stride
    spans = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
    alike = spans == [(i * stride, i * stride + kernel) for i in range(count)]
    return (kernel, stride) if stride and alike else None


def _adaptive_pool(call: Call) -> AveragePool:
    source = call.source()
    size = [
        s if s is not None else n
        for s, n in zip(call["output_size"], source.shape[1:], strict=True)
    ]
    return _pool_to(call, tuple(size))


def _mean(call: Call) -> AveragePool:
    source, shape = call.source(), call.shape()
    dims = {d % 4 for d in call["dim"] or ()}
    size = tuple(1 if axis in dims else source.shape[axis - 1] for axis in (2, 3))
    if not dims or not dims <= {2, 3} or shape != (source.shape[0], *size):
        raise call.refuse(
            "to run over height and width", f"dim={call['dim']}", "use x.mean((2, 3))"
        )
    return _pool_to(call, size)


def _add(call: Call) -> Add:
    one, other = call.source("self"), call.source("other")
    if call["alpha"] != 1:
        raise call.refuse("alpha=1", f"alpha={call['alpha']}", "scale inside a Conv2d")
    if one.shape != other.shape:
        raise call.refuse(
            "two tensors of one shape", f"{one.shape} and {other.shape}", "do not broadcast"
        )
    return Add(name=call.name, inputs=(one.name, other.name), shape=one.shape)


def _concat(call: Call) -> Concat | str:
    names, shape = call["tensors"], call.shape()
    if not all(isinstance(name, str) for name in names):
        raise call.refuse("operands computed from the input", "a constant", "pad instead")
    if sum(call.nodes[name].shape[0] for name in names) != shape[0]:
        raise call.refuse("dim=1 (channels)", f"dim={call['dim']}", "concatenate channels")
    if len(names) == 1:
        return names[0]
    return Concat(name=call.name, inputs=tuple(names), shape=shape)


def _reshape(call: Call) -> Flatten | str:
    source, shape = call.source(), call.shape()
    if shape == source.shape:
        return source.name
    if shape != (math.prod(source.shape), 1, 1):
        raise call.refuse(
            "to keep the shape or flatten all but the batch",
            f"{source.shape} to {shape}",
            "use x.flatten(1)",
        )
    return Flatten(name=call.name, inputs=(source.name,), shape=shape)


def _identity(call: Call) -> str:
    source = call.source()
    if call.arguments.get("dtype") not in (None, torch.float32):
        raise call.refuse("float32", f"{call['dtype']}", "leave the cast out")
    return source.name


def _dropout(call: Call) -> str:
    return call.source().name


def _pad(call: Call) -> Pad | str:
    source, amounts = call.source(), list(call["pad"])
    if call.arguments.get("mode", "constant") != "constant" or call.arguments.get("value"):
        got = call.arguments.get("mode", "constant")
        got = f"value={call['value']}" if got == "constant" else f"mode '{got}'"
        raise call.refuse("padding with zeros", got, "pad with zeros")
    if min(amounts, default=0) < 0:
        raise call.refuse("amounts of 0 or more", f"{tuple(amounts)}", "do not crop with pad")
    if not any(amounts):
        return source.name
    left, right, top, bottom, front, behind = (amounts + [0] * 6)[:6]
    if any(amounts[6:]):
        raise call.refuse("to leave the batch", f"{tuple(amounts)}", "pad images only")
    return Pad(
        name=call.name,
        inputs=(source.name,),
        shape=call.shape(),
        padding=(top, bottom, left, right),
        channels=(front, behind),
    )


def _slice(call: Call) -> Slice | str:
    source, shape, dim = call.source(), call.shape(), call["dim"] % 4
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
    if isinstance(previous, Slice):
        stride = (stride[0] * previous.stride[0], stride[1] * previous.stride[1])
        source = call.nodes[previous.inputs[0]]
    return Slice(name=call.name, inputs=(source.name,), shape=shape, stride=stride)


OPERATORS: dict[str, Callable[[Call], Node | str | None]] = {
    "aten.conv2d": _conv2d,
    "aten.convolution": _conv2d,
    "aten.linear": _linear,
    "aten._native_batch_norm_legit_no_training": _batch_norm,
    "aten._native_batch_norm_legit": _batch_statistics,
    "aten.relu": lambda call: _clamp_to(call, 0.0, None),
    "aten.relu6": lambda call: _clamp_to(call, 0.0, 6.0),
    "aten.hardtanh": lambda call: _clamp_to(call, call["min_val"], call["max_val"]),
    "aten.clamp": lambda call: _clamp_to(call, call["min"], call["max"]),
    "aten.clamp_min": lambda call: _clamp_to(call, call["min"], None),
    "aten.clamp_max": lambda call: _clamp_to(call, None, call["max"]),
    "aten.max_pool2d": _max_pool,
    "aten.avg_pool2d": _avg_pool,
    "aten.adaptive_avg_pool2d": _adaptive_pool,
    "aten.mean": _mean,
    "aten.add": _add,
    "aten.cat": _concat,
    "aten.concat": _concat,
    "aten.flatten": _reshape,
    "aten.view": _reshape,
    "aten.reshape": _reshape,
    "aten._unsafe_view": _reshape,
    "aten.squeeze": _reshape,
    "aten.unsqueeze": _reshape,
    "aten.pad": _pad,
    "aten.constant_pad_nd": _pad,
    "aten.slice": _slice,
    "aten.dropout": _dropout,
    "aten.feature_dropout": _dropout,
    "aten.alpha_dropout": _dropout,
    "aten.clone": _identity,
    "aten.contiguous": _identity,
    "aten.alias": _identity,
    "aten.detach": _identity,
    "aten.to": _identity,
    "aten._to_copy": _identity,
}
