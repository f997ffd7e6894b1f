"""A host program is text, and computes the same of NumPy's arrays and PyTorch's tensors."""

import re

import numpy as np
import pytest
import torch

from qnn.host.operations import OPERATIONS
from qnn.host.program import HostProgram

TEXT = """\
%1 = slice(%0; 2,0,2,1)
%2 = sigmoid(%1)
%3 = constant(1,4,2) 0.0,0.5,1.0,1.5,2.0,2.5,3.0,3.5
%4 = add(%2, %3)
%5 = slice(%0; 2,2,5,1)
%6 = softmax(%5; 2)
%7 = argmax(%5; 2)
return {"boxes": 4, "scores": [6, 7, null]}"""

# For operands (images, 3, 4) whatever each operation takes.
NUMBERS = {
    "reshape": (0, 12),
    "permute": (0, 2, 1),
    "slice": (2, 1, 4, 2),
    "expand": (0, 3, 4),
    "cat": (1,),
}


def test_a_program_is_its_text():
    program = HostProgram.parse(TEXT, 1)
    assert program.text(full=True) == TEXT
    assert "%3 = constant(1,4,2) 0..3.5" in str(program)
    assert program.names(["head"]) == ("boxes", "scores.0", "scores.1")
    # Losses see what a last softmax or argmax is computed of.
    assert (program.results, program.scores) == ((4, 6, 7), (4, 5, 5))
    assert [program.end_of(n) for n in range(3)] == [(None, 0), ("softmax", 2), ("argmax", 2)]
    assert [shape[1:] for shape in program.shapes([(4, 5)])][4:] == [
        (4, 2),
        (4, 3),
        (4, 3),
        (4,),
    ]


def test_results_are_nested_as_the_model_nests_them():
    program = HostProgram.parse(TEXT, 1)
    x = np.random.default_rng(0).standard_normal((2, 4, 5))
    found = program.nested(program.values([x], program.results))
    assert tuple(found.keys()) == ("boxes", "scores")
    assert found["scores"][2] is None
    assert found.scores[1].dtype == np.int64
    np.testing.assert_array_equal(found.scores[1], x[..., 2:].argmax(2))


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_gives_what_pytorch_gives(name):
    operation = OPERATIONS[name]
    rng = np.random.default_rng(1)
    count = 2 if operation.operands is None else operation.operands
    x = [rng.random((2, 3, 4)) + 0.5 for _ in range(count)]
    numbers = NUMBERS.get(name, (1,) * (operation.numbers or 0))
    assert operation.takes([each.shape for each in x], numbers)
    one = operation.compute(np, x, numbers, 2)
    other = operation.compute(torch, [torch.from_numpy(each) for each in x], numbers, 2)
    np.testing.assert_allclose(one, other.numpy(), rtol=1e-12)


def test_a_batch_that_moves_is_told_and_no_score_has_it():
    text = "%1 = permute(%0; 2,0,1)\n%2 = log_softmax(%1; 2)\nreturn 2"
    program = HostProgram.parse(text, 1)
    assert (program.batch_axis(0), program.scores, program.end_of(0)) == (
        1,
        (0,),
        ("log_softmax", 1),
    )
    (found,) = program.values([np.zeros((2, 3, 5))], program.results)
    assert found.shape == (5, 2, 3)


WRONG = {
    "an operation that does not exist": ("%1 = eval(%0)\nreturn 1", "has operations neg, abs"),
    "a value that comes later": ("%1 = exp(%1)\nreturn 1", "needs operands before it"),
    "too many operands": ("%1 = exp(%0, %0)\nreturn 1", "needs operands before it"),
    "another number": ("%2 = exp(%0)\nreturn 2", "needs '%1 = operation(...)'"),
    "no results": ("%1 = exp(%0)\nreturn []", "returns a value, not none"),
    "a result that is no value": ("return 1", "returns values before it, not '1'"),
    "a text for a result": ('return {"a": "b"}', "returns values before it, not 'b'"),
    "no structure": ("return {", "returns a structure, not 'return {'"),
    "no end": ("%1 = exp(%0)", "ends in a return"),
    "a constant cut short": ("%1 = constant(2) 1.0\nreturn 1", "as many numbers as its sizes"),
    "a constant that is none": ("%1 = constant(1) nan\nreturn 1", "needs finite numbers"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_text_that_is_no_program_is_refused(name):
    text, reason = WRONG[name]
    with pytest.raises(ValueError, match=re.escape(reason)):
        HostProgram.parse(text, 1)


UNFIT = {
    "an axis that is not there": "%1 = softmax(%0; 3)\nreturn 1",
    "sizes of another count": "%1 = reshape(%0; 0,7)\nreturn 1",
    "a cut behind the end": "%1 = slice(%0; 1,0,9,1)\nreturn 1",
    "shapes that do not go together": "%1 = constant(3) 1.0,2.0,3.0\n%2 = add(%0, %1)\nreturn 2",
    "more values than any network has": "%1 = expand(%0; 4096,4096,0,4,5)\nreturn 1",
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_step_that_cannot_be_computed_is_refused(name):
    program = HostProgram.parse(UNFIT[name], 1)
    with pytest.raises(ValueError, match=r"^step %\d of its host program: "):
        program.shapes([(4, 5)])
