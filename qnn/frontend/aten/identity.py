"""ATen's operators that give their operand in evaluation."""

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.operator import FloatOperator
from qnn.functions.elementwise import applied_to


def identity(call: Call) -> FloatOperator:
    """The operand; a cast to another type is found by the result's."""
    # Of ``x.to(y)``: only y's type and device count.
    call.neutral("other")
    source = call.source()
    function = source.as_function
    if function is None or not function.is_mask:
        return source
    # True and false as numbers: 1 and 0.
    numbers = applied_to("mul.Tensor", [function, 1.0])
    return FloatFunction(name=call.name, inputs=source.inputs, shape=source.shape, function=numbers)


def dropout(call: Call) -> FloatOperator:
    """The operand: dropout does nothing in evaluation."""
    probability, train = call["p"], call["train"]
    # PyTorch takes None for True.
    if (train or train is None) and probability:
        raise call.refuse(
            "to do nothing in evaluation",
            "train=True",
            "use nn.Dropout, or pass training=self.training",
        )
    return call.source()


OPERATORS = {
    "aten.dropout": dropout,
    "aten.native_dropout": dropout,
    "aten.feature_dropout": dropout,
    "aten.alpha_dropout": dropout,
    # Views and copies are alike here: tensors of a graph never change.
    "aten.clone": identity,
    "aten.contiguous": identity,
    "aten.alias": identity,
    "aten.detach": identity,
    "aten.to": identity,
    "aten._to_copy": identity,
    "aten.lift_fresh": identity,
    "aten.lift_fresh_copy": identity,
    "aten.positive": identity,
    "aten.detach_copy": identity,
    "aten.alias_copy": identity,
    "aten.type_as": identity,
    "aten.view_as": identity,
}
