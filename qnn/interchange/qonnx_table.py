"""The nodes that a QONNX file may have, and what reads each of them."""

from collections.abc import Callable
from typing import Any

from qnn.interchange import qonnx_moves as moves
from qnn.interchange import qonnx_quantized as quantized
from qnn.interchange import qonnx_sums as sums
from qnn.interchange.qonnx_reader import DO, QonnxReader, ReadNode
from qnn.interchange.qonnx_values import refuse


def read_node(reader: QonnxReader, node: ReadNode, operands: list[Any]) -> Any:
    """What a node gives of its ``operands``.

    Raises
    ------
    ModelError
        An integer graph has nothing like it.
    """
    # By the operator's name alone: tools differ in the domain that they give a quantizer.
    handler = _HANDLERS.get(node.op)
    if handler is None:
        refuse(node.place, f"an operator of {', '.join(sorted(_HANDLERS))}", node.op, DO)
    # A handler gives nothing of operands that it has no meaning for.
    found = handler(reader, node, operands)
    if found is None:
        got = ", ".join(type(each).__name__ for each in operands)
        needs = "operands that an integer graph can have there"
        refuse(node.place, needs, f"{node.op} of {got}", DO)
    return found


_HANDLERS: dict[str, Callable[[QonnxReader, ReadNode, list[Any]], Any]] = {
    "Add": sums.add,
    "BipolarQuant": quantized.bipolar_quant,
    "Cast": moves.cast,
    "Clip": sums.clip,
    "Concat": moves.concat,
    "Constant": moves.constant,
    "Conv": sums.conv,
    "Flatten": moves.reshape,
    "FloatQuant": quantized.float_quant,
    "Gather": moves.gather,
    "Gemm": sums.gemm,
    "Identity": moves.same,
    "IntQuant": quantized.int_quant,
    "MatMul": sums.gemm,
    "MaxPool": moves.max_pool,
    "Mul": sums.mul,
    "Pad": moves.pad,
    "Quant": quantized.int_quant,
    "Relu": sums.relu,
    "Reshape": moves.reshape,
    "Slice": sums.slice_,
    "Transpose": moves.transpose,
}
