"""ATen's functions of each value for itself: any that depend on one tensor are one function."""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from torch import Tensor

from qnn.frontend.aten.call import Call, computed
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.operator import FloatOperator
from qnn.functions.calls import CALLS
from qnn.functions.elementwise import IDENTITY, Elementwise, Given, applied_to

COMPARISONS = frozenset(("gt", "ge", "lt", "le", "eq", "ne"))


def elementwise(call: Call) -> FloatFunction:
    """A function of the one tensor that all operands are computed from, value by value."""
    operands = [value for value in call.arguments.values() if computed(value)]
    source = common_source(call, operands)
    compared = call.overload.partition(".")[0]
    if source is None and compared in COMPARISONS:
        return _comparison(call, compared)
    if source is None:
        raise call.refuse(
            "operands that are functions of one tensor",
            f"{len(operands)} tensors that differ",
            "compute it in layers, or leave it to the host",
        )
    arguments = [_argument(call, key, source) for key in call.arguments]
    return made(call, call.overload, arguments, source)


def _comparison(call, name):
    """A comparison of two tensors is one of their difference with 0."""
    one, other = call.source("self"), call.source("other")
    # Tables have one index; of equal values the difference is 0 in every number format.
    difference = Add(
        name=f"{call.name}.difference",
        inputs=(one.name, other.name),
        shape=call.shape,
        alpha=-1.0,
    )
    return made(call, f"{name}.Scalar", [IDENTITY, 0], call.make.add(difference))


def prelu(call: Call) -> FloatFunction:
    """Values over zero as they are, and a multiple of the others, by a number of each channel."""
    source = call.source()
    weight = call.weight("weight").double().flatten().tolist()
    slopes = weight[0] if len(weight) == 1 else tuple(weight)
    positive = applied_to("gt.Scalar", [IDENTITY, 0])
    below = applied_to("mul.Tensor", [IDENTITY, slopes])
    return made(call, "where.self", [positive, IDENTITY, below], source)


def rrelu(call: Call) -> FloatFunction:
    """A leaky ReLU, whose slope is drawn in training and the mean of its bounds in evaluation."""
    if call["training"]:
        raise call.refuse("no random numbers", "training=True", "pass training=self.training")
    call.neutral("generator")
    slope = (call["lower"] + call["upper"]) / 2
    return made(call, "leaky_relu.default", [IDENTITY, slope], call.source())


def made(
    call: Call, name: str, arguments: Sequence[Elementwise | Given], source: FloatOperator
) -> FloatFunction:
    """The node of a function of ``source``."""
    try:
        function = applied_to(name, arguments)
    except ValueError as error:
        raise call.refuse("arguments that can be tabulated", str(error), "correct them") from None
    return FloatFunction(
        name=call.name, inputs=(source.name,), shape=source.shape, function=function
    )


def common_source(call: Call, operands: Sequence[FloatOperator]) -> FloatOperator | None:
    """The last tensor that all operands are elementwise functions of; None if there is none.

    The last one, so that what is computed before it for other readers as well is computed once.
    """
    first, *others = (list(_chain(call, operand)) for operand in operands)
    return next((n for n in first if not _is_mask(n) and all(n in chain for chain in others)), None)


def function_of(call: Call, node: FloatOperator, source: FloatOperator) -> Elementwise:
    """What ``node`` is of ``source``, which lies on its chain."""
    function = IDENTITY
    while node is not source:
        function = function.of(node.as_function)
        node = call.nodes[node.inputs[0]]
    return function


def _is_mask(node: FloatOperator) -> bool:
    """Whether it is true or false at each place, which no table has an index for."""
    return isinstance(node, FloatFunction) and node.function.is_mask


def takes_a_table(call: Call, node: FloatOperator, source: FloatOperator | None = None) -> bool:
    """Whether ``node`` is computed from ``source`` by more than factors, shifts and clamps.

    Without ``source`` it is from the first tensor that it is a function of.
    """
    chain = takewhile(lambda each: each is not source, _chain(call, node))
    return any(each.is_curved for each in chain)


def _chain(call, node) -> Iterator[FloatOperator]:
    """The tensor, and those before it that it is a function of, the nearest first."""
    yield node
    while node.as_function is not None:
        node = call.nodes[node.inputs[0]]
        yield node


def _argument(call, key, source) -> Elementwise | Given:
    value = call[key]
    if computed(value):
        return function_of(call, value, source)
    if not isinstance(value, Tensor):
        return value
    found = call.constant(key).tolist()
    return found[0] if len(found) == 1 else tuple(found)


OPERATORS = {f"aten.{name}": elementwise for name in sorted(CALLS)} | {
    "aten.prelu": prelu,
    "aten._prelu_kernel": prelu,
    "aten.rrelu": rrelu,
}
