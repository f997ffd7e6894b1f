"""Makes operators for tests from one flat list of fields, where a graph's nests them."""

from dataclasses import replace

import numpy as np

from qnn.ir.epilogue import Epilogue
from qnn.ir.ops import Conv, MaxPool, Multiply, Operator
from qnn.ir.shape import Shape
from qnn.ir.window import Window

WINDOW = ("kernel", "stride", "padding", "dilation", "groups")
EPILOGUE = ("left", "bias", "right", "skip_left", "rounded", "low", "high", "table")


def conv(*, input: str, codes: np.ndarray, skip: str | None = None, **fields) -> Conv:
    """A convolution; shifts and bias are 0 unless given, and the kernel is that of ``codes``."""
    zeros = np.zeros(codes.shape[1], np.int64)
    numbers = {"left": zeros, "bias": zeros, "right": zeros} | _taken(fields, EPILOGUE)
    return Conv(
        inputs=(input,) if skip is None else (input, skip),
        window=Window(**{"kernel": codes.shape[-2:]} | _taken(fields, WINDOW)),
        codes=codes,
        epilogue=Epilogue(**numbers),
        **fields,
    )


def multiply(*, inputs: tuple[str, str], shape: Shape, **fields) -> Multiply:
    """A product; shifts and bias are 0 unless given."""
    zeros = np.zeros(shape[0], np.int64)
    numbers = {"left": zeros, "bias": zeros, "right": zeros} | _taken(fields, EPILOGUE)
    return Multiply(inputs=inputs, shape=shape, epilogue=Epilogue(**numbers), **fields)


def max_pool(*, input: str, **fields) -> MaxPool:
    """A pooling of one operand."""
    window = Window(**_taken(fields, WINDOW))
    return MaxPool(inputs=(input,), window=window, **fields)


def changed(node: Operator, **fields) -> Operator:
    """``node`` with other fields, those of its window and epilogue and its operands included."""
    window, numbers = _taken(fields, WINDOW), _taken(fields, EPILOGUE)
    if "codes" in fields:
        window = {"kernel": fields["codes"].shape[-2:]} | window
    if window:
        fields["window"] = replace(node.window, **window)
    if numbers:
        fields["epilogue"] = replace(node.epilogue, **numbers)
    if "input" in fields:
        fields["inputs"] = (fields.pop("input"), *node.inputs[1:])
    if "skip" in fields:
        fields["inputs"] = (fields.get("inputs", node.inputs)[0], fields.pop("skip"))
    return replace(node, **fields)


def _taken(fields, names):
    """Those of ``fields`` that have ``names``, which are gone from it."""
    return {name: fields.pop(name) for name in names if name in fields}
