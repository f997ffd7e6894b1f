"""ONNX's operators that make constants, ask for sizes or change types, in PyTorch's words."""

from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor

from qnn.frontend.onnx.call import OnnxCall, Reader
from qnn.frontend.onnx.protos import onnx_package
from qnn.frontend.onnx.tensors import MOST_VALUES


def same(call: OnnxCall) -> Tensor:
    """Identity."""
    return call[0]


def dropout(call: OnnxCall) -> tuple[Tensor, Tensor]:
    """Dropout in evaluation, and what it kept, which is all."""
    training = call.numbers(2)
    call.require(
        training is None or not training[0],
        "to keep all values",
        "to drop some, as in training",
        "export the model in evaluation mode",
    )
    return call[0], torch.ones_like(call[0], dtype=torch.bool)


def constant(call: OnnxCall) -> Tensor:
    """Constant."""
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        found = call.attribute(name)
        if found is not None:
            real = "float" in name
            as_given = isinstance(found, Tensor)
            return found if as_given else torch.tensor(found, dtype=None if real else torch.int64)
    raise call.refuse("numbers", "texts or no value", "leave it out")


def filled(call: OnnxCall) -> Tensor:
    """ConstantOfShape."""
    # One number of any type; without it a real 0.
    value = call.attribute("value")
    sizes = call.ints(0)
    _check_size(call, sizes)
    kind = torch.float32 if value is None else value.dtype
    return torch.full(sizes, 0 if value is None else value.reshape(-1)[0].item(), dtype=kind)


def steps(call: OnnxCall) -> Tensor:
    """Range."""
    start, end, step = (call.numbers(n)[0] for n in range(3))
    call.require(step != 0, "a step that is not 0", "0", "correct it")
    _check_size(call, [int(abs((end - start) / step)) + 1])
    return torch.arange(start, end, step, dtype=call[0].dtype)


def identity_matrix(call: OnnxCall) -> Tensor:
    """EyeLike on the diagonal."""
    rows, columns = call[0].shape
    call.require(not call.attribute("k", 0), "its diagonal alone", "another", "leave it out")
    return torch.eye(rows, columns)


def one_hot(call: OnnxCall) -> Tensor:
    """OneHot along the last axis."""
    depth, values = int(call.number(1)), call[2]
    call.require(call.attribute("axis", -1) == -1, "its last axis", "another", "transpose it")
    _check_size(call, [*call[0].shape, depth])
    # Labels below 0 count from the end.
    places = torch.arange(depth, device=call[0].device)
    chosen = (call[0].unsqueeze(-1) % depth) == places
    return torch.where(chosen, values[1], values[0])


def shape(call: OnnxCall) -> Tensor:
    """Shape, or a part of it."""
    sizes = list(call[0].shape)
    return torch.tensor(sizes[call.attribute("start", 0) : call.attribute("end")])


def size(call: OnnxCall) -> Tensor:
    """Size."""
    return torch.tensor(call[0].numel())


def nonzero(call: OnnxCall) -> Tensor:
    """NonZero of a constant."""
    call.require(
        call.constants[0],
        "a constant",
        "values that are computed from the network's inputs",
        "let the network end before it, and the host choose",
    )
    return call[0].nonzero().t()


def cast(call: OnnxCall) -> Tensor:
    """Cast; all reals are float32."""
    kinds = onnx_package().TensorProto
    target = call.attribute("to")
    reals = (kinds.FLOAT, kinds.FLOAT16, kinds.DOUBLE, kinds.BFLOAT16)
    if target in reals:
        return call[0].to(torch.float32)
    # Those without a type of their own in PyTorch would be other numbers.
    whole = {kinds.BOOL: torch.bool, kinds.INT32: torch.int32, kinds.INT64: torch.int64}
    whole |= {kinds.INT8: torch.int8, kinds.UINT8: torch.uint8, kinds.INT16: torch.int16}
    name = kinds.DataType.Name(target) if target in kinds.DataType.values() else str(target)
    call.require(target in whole, "a type of reals or integers", name, "leave the cast out")
    return call[0].to(whole[target])


def cast_like(call: OnnxCall) -> Tensor:
    """CastLike."""
    return call[0].to(call[1].dtype)


def _check_size(call, sizes):
    call.require(
        all(each >= 0 for each in sizes) and prod(sizes) <= MOST_VALUES,
        f"at most {MOST_VALUES:,} values",
        f"{sizes}",
        "export the model again",
    )


OPERATORS: Mapping[str, Reader] = {
    "Identity": same,
    "Dropout": dropout,
    "Constant": constant,
    "ConstantOfShape": filled,
    "Range": steps,
    "EyeLike": identity_matrix,
    "OneHot": one_hot,
    "Shape": shape,
    "Size": size,
    "NonZero": nonzero,
    "Cast": cast,
    "CastLike": cast_like,
}
# Those whose results have shapes that values decide; none has more values than its operand has axes
# for each of its own.
OF_VALUES = frozenset({"NonZero"})
# Places of the operands whose values count; of the others shape and type do.
VALUED: Mapping[str, tuple[int, ...]] = {"Shape": (), "Size": (), "EyeLike": (), "CastLike": (0,)}
