"""Functions of one variable from their text: ``mul(x,sigmoid(x))``."""

import ast

import torch

from qnn.functions.calls import fits, kind_of
from qnn.functions.elementwise import IDENTITY, Elementwise, applied_to

OVERLOADS = ("default", "Tensor", "Tensor_Scalar", "Scalar", "self")


def function(text: str) -> Elementwise:
    """The function that ``str`` of it wrote; only functions of up to four calls have such texts."""
    return _of(ast.parse(text, mode="eval").body)


def _of(node):
    if isinstance(node, ast.Call):
        return _applied(node.func.id, [_of(argument) for argument in node.args])
    if isinstance(node, ast.Name) and node.id == "x":
        return IDENTITY
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def _applied(name, given):
    packet = getattr(torch.ops.aten, name)
    for overload in OVERLOADS:
        if overload not in packet.overloads():
            continue
        schema = getattr(packet, overload)._schema.arguments
        rest = [a.default_value for a in schema[len(given) :]]
        pairs = zip(schema, [*given, *rest], strict=False)
        if len(given) + len(rest) == len(schema) and all(_takes(*pair) for pair in pairs):
            return applied_to(f"{name}.{overload}", [*given, *rest])
    raise AssertionError(f"{name} takes no {given}")


def _takes(argument, given):
    if isinstance(given, Elementwise):
        return kind_of(argument) == "Tensor"
    return fits(argument, given)
