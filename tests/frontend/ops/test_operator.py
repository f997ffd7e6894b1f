"""What holds of every operator, of the float graph and of the integer graph."""

from dataclasses import dataclass, fields

import pytest

from qnn.frontend import fuse  # every operator of the float graph is imported there
from qnn.frontend.ops.operator import FloatOperator
from qnn.ir import ops  # and here every one of the integer graph
from qnn.ir.ops import Operator


def kinds(base):
    """The class and all that derive from it."""
    return [base, *(kind for each in base.__subclasses__() for kind in kinds(each))]


def shadowed(kind):
    """Members that have the name of a method which whoever asks any operator would call."""
    inherited = {name for base in kind.__mro__[1:] for name, v in vars(base).items() if callable(v)}
    return [field.name for field in fields(kind) if field.name in inherited]


@pytest.mark.parametrize("kind", kinds(FloatOperator) + kinds(Operator), ids=lambda k: k.__name__)
def test_no_member_hides_what_every_operator_answers(kind):
    assert fuse
    assert ops
    assert shadowed(kind) == []


def test_a_member_that_hides_a_method_is_found():
    class Asked:
        def rows(self):
            """Whatever."""

    @dataclass
    class Hiding(Asked):
        rows: int = 0

    assert shadowed(Hiding) == ["rows"]
