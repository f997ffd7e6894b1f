"""Float graphs from their text, with weights drawn by each node's name."""

import ast
import re
import zlib

import torch

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.affine import Affine
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.ops.batch_norm import BatchNorm, Statistics
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.extreme import Extreme
from qnn.frontend.ops.flatten import Flatten
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.gather import ChannelGather
from qnn.frontend.ops.input import FloatInput
from qnn.frontend.ops.interleave import FloatInterleave
from qnn.frontend.ops.max_pool import FloatMaxPool
from qnn.frontend.ops.multiply import FloatMultiply
from qnn.frontend.ops.pad import Pad
from qnn.frontend.ops.pixel_shuffle import PixelShuffle
from qnn.frontend.ops.resample import Resample
from qnn.frontend.ops.slice import Slice
from qnn.frontend.ops.transposed_conv import TransposedConv
from qnn.ir.graph import Output
from qnn.ir.window import Window
from tests.functions.texts import function

LINE = re.compile(r"(\S+) = (\w+)\((.*?)\) (\S+)(.*)")
PLAIN = (
    FloatInterleave,
    PixelShuffle,
    FloatInput,
    Add,
    FloatMultiply,
    Extreme,
    FloatConcat,
    Flatten,
    FloatFunction,
    Clamp,
    Pad,
    ChannelGather,
    Slice,
)
PARTS = ("stride", "padding", "dilation", "groups")


def parse(text: str) -> FloatGraph:
    """The graph of lines as ``str`` of a graph gives them.

    Fixed weights are all 1, which is what a copy has.
    """
    *lines, last = text.strip().splitlines()
    nodes = {}
    for line in lines:
        name, kind, operands, shape, rest = LINE.fullmatch(line).groups()
        common = {
            "name": name,
            "inputs": tuple(operands.split(", ")) if operands else (),
            "shape": tuple(map(int, shape.split("x"))),
        }
        words = rest.split()
        values = {k: _value(k, v) for k, _, v in (w.partition("=") for w in words) if v}
        flags = {word for word in words if "=" not in word}
        nodes[name] = _node(kind, common, values, flags, nodes)
    names = last.removeprefix("return ").split(", ")
    outputs = tuple(Output(name, nodes[name].shape) for name in names)
    return FloatGraph(tuple(nodes.values()), outputs)


def _value(name, text):
    if name == "function":
        return function(text)
    number = re.fullmatch(r"(\d+)_numbers", text)
    return drawn(name, int(number[1])).double() if number else ast.literal_eval(text)


def drawn(name: str, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.randn(shape, generator=generator)


def _node(kind, common, values, flags, nodes):
    plain = {cls.kind: cls for cls in PLAIN}
    if kind == "clamp":
        values = {"low": None, "high": None} | values
    if kind == "affine":
        sizes = {"factor": 1.0, "shift": 0.0} | values
        channels = torch.ones(common["shape"][0], dtype=torch.float64)
        return Affine(**common, **{key: channels * value for key, value in sizes.items()})
    if kind in plain:
        return plain[kind](**common, **values)
    if kind == "resample":
        pairs = zip(nodes[common["inputs"][0]].shape[1:], common["shape"][1:], strict=True)
        rows, columns = (_nearest(*pair) for pair in pairs)
        return Resample(**common, rows=rows, columns=columns)
    if kind == "transposed":
        return _transposed(common, values, nodes)
    if kind == "batchnorm":
        return BatchNorm(**common, statistics=_statistics(common["name"], common["shape"][0]))
    window = Window(
        kernel=tuple(map(int, next(f for f in flags if re.fullmatch(r"\d+x\d+", f)).split("x"))),
        **{part: values.pop(part) for part in PARTS if part in values},
    )
    if kind == "maxpool":
        return FloatMaxPool(**common, window=window)
    if kind == "averagepool":
        return AveragePool(**common, window=window, **values)
    return _conv(common, window, values, flags, nodes)


def _nearest(size, result):
    """The matrix of nearest upsampling."""
    return torch.eye(size)[torch.arange(result) * size // result]


def _transposed(common, values, nodes):
    inputs, groups = nodes[common["inputs"][0]].shape[0], values["groups"]
    outputs = common["shape"][0] // groups
    weight = drawn(common["name"], inputs, outputs, *values.pop("kernel"))
    return TransposedConv(**common, **values, weight=weight, bias=None)


def _conv(common, window, values, flags, nodes):
    name, outputs = common["name"], common["shape"][0]
    inputs = nodes[common["inputs"][0]].shape[0] // window.groups
    shape = (outputs, inputs, *window.kernel)
    return FloatConv(
        **common,
        window=window,
        weight=torch.ones(shape) if "fixed" in flags else drawn(name, *shape),
        bias=drawn(f"{name}.bias", outputs) if "bias" in flags else None,
        batchnorm=_statistics(name, outputs) if "batchnorm" in flags else None,
        fixed="fixed" in flags,
        requantize="requantize" in flags,
        **values,
    )


def _statistics(name, channels):
    gamma, beta, mean, var = drawn(name, 4, channels)
    return Statistics(gamma, beta, mean, var.abs() + 0.1, 1e-5)
