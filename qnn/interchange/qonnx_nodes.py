"""Each operator of the integer graph in reals, with QONNX's quantizers where it rounds.

Between operators, tensors are the reals that integers stand for, in float32. Sums are exact as in
``operator_nodes``: all that is added is a multiple of one power of two.
"""

from functools import singledispatch

import numpy as np

from qnn.errors import CompileError
from qnn.interchange.number_type import FLOAT, INTEGER
from qnn.interchange.operator_nodes import interleaved, pooled
from qnn.interchange.qonnx_quantizers import exact_reals, float_quants, int_quant, scaled, wide
from qnn.interchange.sum_nodes import onnx_pads
from qnn.interchange.writer import OnnxWriter, Tensor
from qnn.ir.epilogue import Epilogue
from qnn.ir.ops import Concat, Conv, Interleave, MaxPool, Multiply, Operator
from qnn.quant.qtype import QType

# Reals of float32 have exponents from -126 to 127; sums and factors need some room.
MOST_EXPONENT = 64


@singledispatch
def qonnx_nodes(
    node: Operator, writer: OnnxWriter, operands: list[Tensor], sources: tuple[Operator, ...]
) -> Tensor:
    """The tensor of ``node``, computed from those of its ``sources``.

    Raises
    ------
    CompileError
        QONNX cannot express it, or qonnx would not compute it exactly.
    """
    raise CompileError(
        f"{node.kind} '{node.name}' needs an operator that QONNX files have, but there is none; "
        f"export a .qgraph"
    )


@qonnx_nodes.register
def _conv(node: Conv, writer, operands, sources):
    products, reach = _proved(node, sources)
    if products >= 1 << 24:
        _refuse_bits(node, f"sums of products of {products.bit_length() + 1} bits", "25")
    operand, *skips = sources
    index = None if node.skip is None else int(node.epilogue.skip_left[0]) + skips[0].type.exponent
    unit, index = _exponents(node, 0 if index is None else index - int(node.epilogue.right[0]))
    weights = float_quants(writer, node.codes, node.weight_bits, unit - operand.type.exponent)
    sums = _convolved(writer, operands[0], weights, node)
    skip = operands[1] if skips else None
    if skip is not None:
        # 0 of what a quantized model gives; any graph may shift a channel by more.
        places = node.epilogue.skip_left - node.epilogue.left + skips[0].type.exponent - unit
        skip = scaled(writer, skip, places)
    return _finished(node, writer, wide(writer, sums, reach), skip, (unit, index, reach))


def _convolved(writer, x, weights, node):
    window = node.window
    # Negative padding is none that Conv takes.
    if min(window.padding) < 0:
        x = writer.add("Pad", x, writer.constant(_pads(window.padding)), writer.constant(0, FLOAT))
    pads = onnx_pads(window.padding) if min(window.padding) >= 0 else (0, 0, 0, 0)
    sums = writer.add(
        "Conv",
        x,
        weights,
        kernel_shape=window.kernel,
        strides=window.forwards().stride,
        dilations=window.dilation,
        group=window.groups,
        pads=pads,
    )
    return writer.sliced(sums, (3,), [(-1, -node.shape[2] - 1, -1)]) if window.backwards else sums


def _pads(padding):
    top, bottom, left, right = padding
    return 0, 0, top, left, 0, 0, bottom, right


@qonnx_nodes.register
def _multiply(node: Multiply, writer, operands, sources):
    products, reach = _proved(node, sources)
    given = sum(source.type.exponent for source in sources)
    unit, index = _exponents(node, given + int((node.epilogue.left - node.epilogue.right)[0]))
    one, other = (wide(writer, each, products) for each in operands)
    product = scaled(writer, writer.add("Mul", one, other), given - unit)
    return _finished(node, writer, wide(writer, product, reach), None, (unit, index, reach))


@qonnx_nodes.register
def _max_pool(node: MaxPool, writer, operands, sources):
    return pooled(node, writer, operands[0], exact_reals(node.type.low, node.type.exponent))


@qonnx_nodes.register
def _concat(node: Concat, writer, operands, sources):
    return writer.add("Concat", *operands, label=node.name, axis=1)


@qonnx_nodes.register
def _interleave(node: Interleave, writer, operands, sources):
    return interleaved(node, writer, operands, sources)


def _proved(node, sources):
    products, reach = node.sums(sources).plain_bounds()
    if reach >= 1 << 53:
        _refuse_bits(node, f"sums of {reach.bit_length() + 1} bits", "54")
    return products, reach


def _refuse_bits(node, needs, most):
    raise CompileError(
        f"{node.kind} '{node.name}' needs {needs}, but qonnx computes {most} exactly; quantize to "
        f"fewer bits, or export --format onnx"
    )


def _exponents(node, index):
    """Exponents of a sum's unit, channel by channel, and of the rounded result.

    Only differences count where a table follows: ``index`` is then the exponent that its index has.
    """
    epilogue = node.epilogue
    result = node.type.exponent if epilogue.table is None else index
    unit = epilogue.right + result - epilogue.left
    if max(abs(result), abs(node.type.exponent), int(np.abs(unit).max())) > MOST_EXPONENT:
        raise CompileError(
            f"{node.kind} '{node.name}' needs exponents from {-MOST_EXPONENT} to {MOST_EXPONENT} "
            f"in QONNX, whose reals are float32, but has others; export --format onnx"
        )
    return unit, result


def _finished(node, writer, v, skip, numbers):
    """The result of the sums ``v``, reals; ``numbers``: unit, result's exponent and reach."""
    (unit, result, _), epilogue = numbers, node.epilogue
    bias = exact_reals(epilogue.bias + (1 << epilogue.right >> 1), unit + epilogue.left)
    # What is last has the operator's name, as an unrounded result has no quantizer; a bias of
    # zeros stands there for nothing else.
    last = None if epilogue.rounded else node.name
    if bias.any() or (last is not None and skip is None):
        same = (bias == bias[0]).all()
        given = writer.constant(bias[0] if same else bias[:, None, None], v.dtype)
        v = writer.add("Add", v, given, label=last if skip is None else None)
    if skip is not None:
        v = writer.add("Add", v, writer.cast(skip, v.dtype), label=last)
    if not epilogue.rounded:
        return v
    if epilogue.table is None:
        return int_quant(writer, _clamped(writer, v, epilogue, node.type), node.type, node.name)
    indices = QType(max(epilogue.index_bits, 2), True, result)
    # The first quantizer makes an index, and the second says what the table's reals are.
    v = int_quant(writer, _clamped(writer, v, epilogue, indices), indices)
    return int_quant(
        writer, _looked_up(writer, v, epilogue, result, node.type), node.type, node.name
    )


def _clamped(writer, v, epilogue: Epilogue, type: QType) -> Tensor:
    """``v`` within the epilogue's bounds, where these are not its type's."""
    low, high = epilogue.low, epilogue.high
    if (low, high) == (type.low, type.high):
        return v
    if (low, high) == (0, type.high):
        return writer.add("Relu", v)
    # Whole steps, so that clamping before the cut is clamping behind it.
    bounds = exact_reals(np.array([low, high]), type.exponent)
    return writer.add("Clip", v, *(writer.constant(bound, v.dtype) for bound in bounds))


def _looked_up(writer, v, epilogue, exponent, type):
    rows, entries = epilogue.table.shape
    first = np.arange(rows) * entries - epilogue.low
    # In steps of the index again, which are whole numbers, from the first entry on.
    whole = writer.cast(scaled(writer, v, np.array([exponent])), INTEGER)
    shift = writer.constant(first[0] if rows == 1 else first[:, None, None])
    table = writer.constant(exact_reals(epilogue.table.ravel(), type.exponent), FLOAT)
    return writer.add("Gather", table, writer.add("Add", whole, shift), axis=0)
