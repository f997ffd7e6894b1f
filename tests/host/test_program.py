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
    one = operation.compute(np, x, numbers, 2)
    assert operation.shape([each.shape for each in x], numbers, 2) == one.shape
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
    "a name with a slash": ('return {"../a": 0}', "has keys of letters, digits, '_', '.' and '-'"),
    "an empty name": ('return {"": 0}', "has keys of letters, digits, '_', '.' and '-' alone"),
    "lists in lists in lists": (f"return {'[' * 40}0{']' * 40}", "its results at most 32 deep"),
    "a sum of what is true": (
        "%1 = bool(%0)\n%2 = slice(%1; 1,0,1,1)\n%3 = neg(%2)\nreturn 3",
        "'neg(%2)' needs numbers, not what is true or false",
    ),
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
    "images that are one": "%1 = reshape(%0; 1,20)\nreturn 1",
    "more axes than any array has": f"%1 = reshape(%0; 0,4,5{',1' * 20})\nreturn 1",
    "more values than any network has": "%1 = expand(%0; 4096,4096,0,4,5)\nreturn 1",
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_step_that_cannot_be_computed_is_refused(name):
    program = HostProgram.parse(UNFIT[name], 1)
    with pytest.raises(ValueError, match=r"^step %\d of its host program: "):
        program.shapes([(4, 5)])


def test_steps_that_together_take_too_much_are_refused_and_take_nothing():
    lines = ["%1 = constant(1) 0.0", "%2 = expand(%1; 0,4096,4096)"]
    lines += [f"%{n} = neg(%{n - 1})" for n in range(3, 30)]
    program = HostProgram.parse("\n".join([*lines, "return 29"]), 1)
    with pytest.raises(ValueError, match=r"^step %9 of its host program: more than 134217728 val"):
        program.shapes([(4, 5)])


MIXED = {
    "a sum of all images": "%1 = sum(%0; 0)\nreturn 1",
    "one of the images": "%1 = slice(%0; 0,0,1,1)\nreturn 1",
    "a constant": "%1 = constant(1,2) 1.0,2.0\nreturn 1",
    "scores that are moved": "%1 = permute(%0; 1,0,2)\n%2 = neg(%1)\nreturn 2",
    "classes without images": "%1 = argmax(%0; 1)\n%2 = reshape(%1; 1,5)\nreturn 2",
}


@pytest.mark.parametrize("name", MIXED)
def test_results_have_an_entry_for_each_image(name):
    program = HostProgram.parse(MIXED[name], 1)
    with pytest.raises(ValueError, match=r"^(result 0|step %\d) of its host program"):
        program.shapes([(4, 5)])


BACK = {
    "columns of classes": "%1 = permute(%0; 2,0,1)\n%2 = softmax(%1; 2)\nreturn 2",
    "classes of columns": "%1 = permute(%0; 2,0,1)\n%2 = argmax(%1; 2)\nreturn 2",
    "classes, then moved": "%1 = argmax(%0; 1)\n%2 = permute(%1; 1,0)\nreturn 2",
    "an axis that is kept": "%1 = permute(%0; 1,0,2)\n%2 = argmax(%1; 0)\n"
    "%3 = reshape(%2; 1,0,5)\nreturn 3",
}


@pytest.mark.parametrize("name", BACK)
def test_a_result_goes_back_to_the_axes_of_its_scores(name):
    program = HostProgram.parse(BACK[name], 1)
    program.shapes([(4, 5)])
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    (found,) = program.values([x], program.results)
    assert found.shape[program.batch_axis(0)] == 3
    back = program.as_scores(0, found, (4, 5))
    if program.end_of(0)[0] == "argmax":
        np.testing.assert_array_equal(back, x.argmax(1, keepdims=True))
    else:
        np.testing.assert_allclose(np.log(back) - x, (np.log(back) - x)[:, :1] + 0 * x)


def test_values_are_forgotten_behind_their_last_reader():
    program = HostProgram.parse("%1 = exp(%0)\n%2 = add(%1, %1)\n%3 = neg(%2)\nreturn [1, 3]", 1)
    one, three = program.values([np.ones((2, 3))], program.results)
    np.testing.assert_array_equal(three, -2 * one)
