"""Named results are tuples, dictionaries and copies of themselves."""

import copy

import numpy as np
import pytest

from qnn.host.named import named


def test_a_name_is_a_key_and_an_attribute_beside_the_number():
    found = named((5, 7), ("out", "aux.0"))
    assert (found["out"], found.out, found[0], found["aux.0"], found[1:]) == (5, 5, 5, 7, (7,))
    first, second = found
    assert (first, second) == (5, 7)
    assert dict(found) == dict(found.items()) == {"out": 5, "aux.0": 7}
    assert ("aux.0" in found, "loss" in found, 7 in found) == (True, False, True)
    assert ("out" in named((np.zeros(2),), ("out",))) is True
    assert repr(found) == "(out=5, aux.0=7)"
    assert isinstance(found, tuple)


def test_copies_keep_the_names():
    found = named((5, 7), ("out", "aux"))
    for other in (copy.copy(found), copy.deepcopy(found)):
        assert (type(other), other) == (type(found), found)


@pytest.mark.parametrize("names", [(None, "aux"), (None, None), ("a", "a")])
def test_without_a_name_for_each_it_is_a_tuple(names):
    assert type(named((5, 7), names)) is tuple


def test_a_name_that_no_output_has_is_refused_with_those_they_have():
    found = named((5, 7), ("out", "aux"))
    with pytest.raises(KeyError) as caught:
        found["loss"]
    assert caught.value.args == ("no output is called 'loss'; they are out, aux",)
    with pytest.raises(AttributeError) as caught:
        _ = found.loss
    assert str(caught.value) == "no output is called 'loss'; they are out, aux"
