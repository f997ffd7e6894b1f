"""ATen's products with constant matrices: linear layers, and what is written as one."""

from dataclasses import replace

import torch
from torch import Tensor

from qnn.frontend.aten.call import Call, computed
from qnn.frontend.products import Matrices, multiplied
from qnn.frontend.views import Held, View, is_view, whole


def linear(call: Call) -> Held:
    """A linear layer on the last axis, whatever the others are."""
    return _product(call, call.view(), call.weight("weight"), call.weight("bias"))


def mm(call: Call) -> Held:
    """A product of two matrices, of which either may be the constant one."""
    return _of_two(call, "self", "mat2")


def matmul(call: Call) -> Held:
    """A product of the last axis of one operand with the last but one of the other."""
    return _of_two(call, "self", "other")


def mv(call: Call) -> Held:
    """A matrix times a vector."""
    return _of_two(call, "self", "vec")


def addmm(call: Call) -> Held:
    """``beta * self + alpha * (mat1 @ mat2)``."""
    keys = ("mat1", "mat2") if "mat1" in call.arguments else ("batch1", "batch2")
    return _of_two(call, *keys, alpha=float(call["alpha"]), bias=("self", float(call["beta"])))


def _of_two(call, left, right, alpha=1.0, bias=None):
    held = [computed(call.arguments[key]) for key in (left, right)]
    if all(held):
        raise call.refuse(
            "one operand to be a constant",
            "two that are computed from the input",
            "use convolutions in place of it and train the network again",
        )
    # A constant on the left: both are transposed, and their product back.
    turned = not held[0]
    view, constant = (
        (call.view(right), call.weight(left)) if turned else (call.view(left), call.weight(right))
    )
    index = view.index.unsqueeze(-1) if turned and view.index.dim() == 1 else view.index
    # A vector is a matrix of one column, or of one row, which the result has not.
    is_vector = constant.dim() == 1
    constant = constant[:, None] if is_vector else constant
    if turned:
        # (results, values) as those of linear layers, of which the last axis is the values'.
        index, weight = index.mT, (constant.mT if is_vector else constant)
    else:
        weight = constant.mT
    # Alpha is of the product alone, and beta of what is added.
    weight = weight * alpha
    given = None if bias is None else _bias(call, *bias, turned, weight.shape[-2])
    found = _product(call, replace(view, index=index), weight, given)
    return _laid(found, call, turned, is_vector, view.index.dim() == 1)


def _laid(found, call, turned, is_vector, was_vector):
    """The result with the axes that PyTorch gives it."""
    if not turned and not is_vector:
        return found
    view = found if is_view(found) else whole(found, (call.make.batch, found.shape[0]))
    index = view.index.mT if turned and not is_vector else view.index
    index = index.squeeze(-1) if is_vector or was_vector else index
    return replace(view, index=index)


def _bias(call, key, beta, turned, results):
    """A number for each result, (results,), of what is added to all products alike."""
    value = call.weight(key)
    # Then PyTorch reads none of it, NaN neither.
    if beta == 0:
        return None
    value = value.mT if turned and value.dim() > 1 else value
    rows = value.reshape(-1, value.shape[-1])
    if value.dim() and not bool((rows == rows[:1]).all()):
        raise call.refuse(
            f"one number as {key} for each result",
            f"a constant of shape {tuple(value.shape)} that differs from row to row",
            "add a bias for each result",
        )
    return (rows[0] * beta).expand(results).contiguous()


def _product(call: Call, view: View, weight: Tensor, bias: Tensor | None) -> Held:
    """The last axis of ``view`` times ``weight``, (..., results, values)."""
    results, values = weight.shape[-2:]
    index = view.index
    # Matrices of their own for axes before the last two, as PyTorch broadcasts.
    if weight.dim() > 2:
        axes = torch.broadcast_shapes(index.shape[:-2], weight.shape[:-2])
        index = index.expand(*axes, *index.shape[-2:])
        weight = weight.expand(*axes, results, values).reshape(-1, results, values)
        same = bool((weight == weight[:1]).all())
        each, number = (weight[:1], None) if same else weight.unique(dim=0, return_inverse=True)
    else:
        each, number = weight[None], None
    # Each row is a product of its own, whatever axes the rows have.
    rows = index[..., 0].numel()
    if number is None:
        number = torch.zeros(rows, dtype=torch.int64)
    else:
        number = number.repeat_interleave(rows // len(number))
    # A bias of one element for all results.
    bias = None if bias is None else bias.expand(len(each), results).contiguous()
    matrices = Matrices(each.contiguous(), bias, number)
    found = multiplied(call.name, replace(view, index=index), matrices, call.make)
    if found is None:
        raise call.refuse(
            "products with one matrix, or with one for each group of channels",
            f"{len(each)} matrices for tensors of shape {tuple(index.shape)}",
            "use one for all",
        )
    return found


OPERATORS = {
    "aten.linear": linear,
    "aten.mm": mm,
    "aten.bmm": mm,
    "aten.matmul": matmul,
    "aten.mv": mv,
    "aten.addmm": addmm,
    "aten.baddbmm": addmm,
}
