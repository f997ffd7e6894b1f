"""The call of an operator, as readers see it, from a node of an exported program."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx

from qnn.frontend.aten.call import Call
from qnn.frontend.aten.elementwise import OPERATORS as ELEMENTWISE
from qnn.frontend.aten.quantized import OPERATORS as QUANTIZERS
from qnn.frontend.faults import Fault, FaultyModel, site_of
from qnn.frontend.materialise import Materialise
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.views import block_of
from qnn.ir.shape import Shape


def call_of(
    node: fx.Node,
    name: str,
    values: Mapping[fx.Node, Any],
    nodes: Mapping[str, FloatOperator],
    make: Materialise,
    shape: Callable[[], Shape],
    rank: int | None = None,
) -> Call:
    """The call that ``node`` makes.

    Parameters
    ----------
    name : of the result
    values : what the nodes that it reads stand for, operators or constants
    nodes : what was read so far
    make : gives blocks for views
    shape : gives the shape of the result, or raises that it is none
    rank : how many axes the operands have; None: those that they have in the program

    Raises
    ------
    FaultyModel
        The result is not of float32, or is without values.
    """
    schema = node.target._schema.arguments
    given = _given(node, schema)
    call = Call(
        name=name,
        overload=str(node.target).removeprefix("aten."),
        site=site_of(node),
        arguments={key: fx.map_arg(value, lambda n: values[n]) for key, value in given.items()},
        usual={a.name: a.default_value for a in schema if a.has_default_value()},
        ranks={key: rank or _rank(value) for key, value in given.items()},
        nodes=nodes,
        result_shape=shape,
        make=make,
    )
    _check_type(node, call)
    return call


def result_of(node):
    """The shape and type of what a node gives, of several results the first's."""
    found = node.meta["val"]
    return found[0] if isinstance(found, tuple | list) else found


def _given(node, schema):
    """Arguments by their names in the operator's schema, with the defaults of those left out."""
    # Positional ones first, in the order of the schema.
    given = dict(zip((argument.name for argument in schema), node.args, strict=False))
    given |= node.kwargs
    return {a.name: given.get(a.name, a.default_value) for a in schema}


def _rank(value):
    """The number of axes of an operand, or of the operands of a list."""
    first = value[0] if isinstance(value, list | tuple) and value else value
    held = first.meta.get("val") if isinstance(first, fx.Node) else None
    return held.dim() if isinstance(held, Tensor) else 0


def _check_type(node, call):
    first = result_of(node)
    # What a comparison gives is true or false, and 1 or 0 to what reads it.
    compares = first.dtype == torch.bool and call.site.operator in ELEMENTWISE
    # What a quantizer gives stands for reals.
    quantizes = call.site.operator in QUANTIZERS
    # Integers have no other float types: a cast would change values in PyTorch alone.
    if first.dtype != torch.float32 and not compares and not quantizes:
        raise call.refuse("float32", f"{first.dtype}", "leave casts and autocast out")
    if first.device.type == "meta":
        raise call.refuse("a device with values", "meta", "leave the device out")


def fits(node: fx.Node, batch: int) -> bool:
    """Whether the result has the axes of ``batch`` blocks."""
    shape = tuple(result_of(node).shape)
    return bool(shape) and shape[0] == batch and block_of(shape[1:]) is not None


def block_shape(node: fx.Node, batch: int) -> Shape:
    """The shape of the block that the result is for one image.

    Raises
    ------
    FaultyModel
        It has other axes.
    """
    shape = tuple(result_of(node).shape)
    if fits(node, batch):
        return block_of(shape[1:])
    # The first axis is the images', unless the operator has moved it.
    given = shape[:1] == (batch,)
    axes = ", ".join(["batch"] * given + [str(size) for size in shape[given:]])
    got = f"({axes})" if given else f"({axes}) without a batch"
    problem = f"needs to give (batch, channels, height, width) or fewer axes, but gives {got}"
    cure = "keep these axes throughout; x.flatten(1) makes features of an image"
    raise FaultyModel([Fault(site_of(node), problem, cure)])
