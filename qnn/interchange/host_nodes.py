"""What the host computes of a network's results, in standard operators of float64."""

from collections.abc import Callable, Sequence

import numpy as np

from qnn.host.operations import BATCH, Numbers
from qnn.host.program import HostProgram
from qnn.host.step import CONSTANT
from qnn.interchange.number_type import DOUBLE, INTEGER
from qnn.interchange.writer import OnnxWriter, Tensor

BOOL = np.dtype(bool)
_UNARY = {
    **{name: name.capitalize() for name in ("neg", "abs", "exp", "log", "sqrt", "floor", "tanh")},
    "sigmoid": "Sigmoid",
}
_BINARY = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "pow": "Pow",
    "maximum": "Max",
    "minimum": "Min",
}
_OF_REALS = ("div", "pow")  # also of integers; all that has one operand is of reals but for these:
_KEEPS = ("neg", "abs")
_CASTS = {"float": DOUBLE, "long": INTEGER, "bool": BOOL}


def host_results(writer: OnnxWriter, host: HostProgram, tensors: Sequence[Tensor]) -> list[Tensor]:
    """What the user's model gives, in order, of the network's ``tensors``, float64 reals."""
    values = list(tensors)
    for number, step in enumerate(host.steps, len(values)):
        writer.scope = f"host/{number}"
        if step.name == CONSTANT:
            values.append(writer.constant(step.array, DOUBLE))
            continue
        operands = [values[each] for each in step.operands]
        values.append(_step(writer, step.name, operands, step.numbers, tensors[0]))
    return [values[number] for number in host.results]


def _step(writer, name, operands, numbers, images):
    if name in _CASTS:
        # Cast to bool is a comparison with 0, and from a real to an integer a cut, as in NumPy.
        return writer.cast(operands[0], _CASTS[name])
    if name in _UNARY:
        kept = operands[0] if name in _KEEPS else writer.cast(operands[0], DOUBLE)
        return writer.add(_UNARY[name], kept)
    if name in _BINARY:
        return writer.add(_BINARY[name], *_alike(writer, operands, name in _OF_REALS))
    return _OTHERS[name](writer, operands, numbers, images)


def _alike(writer, operands, of_reals):
    """The operands with one type of number, as NumPy finds one."""
    dtype = DOUBLE if of_reals else np.result_type(*(each.dtype for each in operands))
    return [writer.cast(each, dtype) for each in operands]


def _sum(writer, operands, numbers, images):
    return writer.add("ReduceSum", operands[0], writer.constant(numbers), keepdims=0)


def _extreme(op):
    return lambda writer, operands, numbers, images: writer.add(
        op, operands[0], axes=numbers, keepdims=0
    )


def _shares(op):
    return lambda writer, operands, numbers, images: writer.add(
        op, writer.cast(operands[0], DOUBLE), axis=numbers[0]
    )


def _argmax(writer, operands, numbers, images):
    # Of equal ones the first, in ONNX as in NumPy.
    return writer.add("ArgMax", operands[0], dtype=INTEGER, axis=numbers[0], keepdims=0)


def _reshape(writer, operands, sizes, images):
    # There is one such size at most, and ONNX finds it.
    return writer.reshape(operands[0], [-1 if size == BATCH else size for size in sizes])


def _permute(writer, operands, axes, images):
    return writer.add("Transpose", operands[0], perm=axes)


def _slice(writer, operands, numbers, images):
    axis, *places = numbers
    return writer.sliced(operands[0], (axis,), [tuple(places)])


def _expand(writer, operands, sizes, images):
    # The number of images is known only where the model runs.
    count = writer.add("Shape", images, dtype=INTEGER, start=0, end=1)
    parts = [count if size == BATCH else writer.constant([size]) for size in sizes]
    return writer.add("Expand", operands[0], writer.add("Concat", *parts, axis=0))


def _cat(writer, operands, numbers, images):
    return writer.add("Concat", *_alike(writer, operands, False), axis=numbers[0])


_OTHERS: dict[str, Callable[[OnnxWriter, list[Tensor], Numbers, Tensor], Tensor]] = {
    "sum": _sum,
    "amax": _extreme("ReduceMax"),
    "amin": _extreme("ReduceMin"),
    "softmax": _shares("Softmax"),
    "log_softmax": _shares("LogSoftmax"),
    "argmax": _argmax,
    "reshape": _reshape,
    "permute": _permute,
    "slice": _slice,
    "expand": _expand,
    "cat": _cat,
}
