"""ATen's operators that give their operand in evaluation."""

from qnn.frontend.aten.call import Call
from qnn.frontend.ops.operator import FloatOperator


def identity(call: Call) -> FloatOperator:
    """The operand; a cast to another type is found by the result's."""
    # Of ``x.to(y)``: only y's type and device count.
    call.neutral("other")
    return call.source()


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
}
