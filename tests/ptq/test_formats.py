import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn.errors import ModelError
from qnn.ptq.formats import by_layer, check_choice, greatest

LEARNED, FIXED = ("conv1", "layer1.0.conv1", "layer1.0.conv2", "fc"), ("pool", "layer1.0.pad")


def message(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_one_number_is_for_all_layers():
    assert by_layer("terms", 2, LEARNED, FIXED) == dict.fromkeys((*LEARNED, *FIXED), 2)


def test_the_first_pattern_that_matches_counts():
    choice = {"conv1": 5, "*.conv2": 2, "layer1.*": 4, "*": 3}
    assert by_layer("weight_bits", choice, LEARNED, FIXED) == {
        "conv1": 5,
        "layer1.0.conv1": 4,
        "layer1.0.conv2": 2,
        "fc": 3,
        "pool": 3,
        "layer1.0.pad": 4,
    }


def test_fixed_layers_without_a_match_take_the_greatest_number():
    choice = {"*conv*": 2, "fc": 4}
    found = by_layer("weight_bits", choice, LEARNED, FIXED)
    assert (found["pool"], found["layer1.0.pad"]) == (4, 4)
    assert by_layer("weight_bits", {**choice, "pool": 3}, LEARNED, FIXED)["pool"] == 3


@given(st.dictionaries(st.sampled_from(LEARNED), st.integers(2, 5), min_size=4))
def test_names_alone_match_themselves_in_any_order(choice):
    assert by_layer("weight_bits", choice, LEARNED, ()) == choice


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        (
            {"conv1": 3, "layer1.*": 3},
            "weight_bits needs a match for every layer, but none of 'conv1', 'layer1.*' matches "
            "'fc'; end with '*'",
        ),
        (
            {"Conv1": 3, "*": 3},
            "weight_bits needs patterns that match a layer, not 'Conv1'; the layers are conv1, "
            "layer1.0.conv1, layer1.0.conv2, fc, pool, layer1.0.pad",
        ),
        (
            {"*": 3, "conv1": 4},
            "weight_bits needs 'conv1' before the patterns that match all its layers first; move "
            "it up, or leave it out",
        ),
    ],
)
def test_patterns_that_do_not_fit_the_network_are_refused(choice, text):
    assert message(ModelError, lambda: by_layer("weight_bits", choice, LEARNED, FIXED)) == text


@pytest.mark.parametrize("choice", [1, 6, "3", 3.0, (3, 4)])
def test_numbers_out_of_bounds_are_refused(choice):
    text = message(ValueError, lambda: check_choice("weight_bits", choice, 2, 5))
    assert text == f"quantize needs weight_bits from 2 to 5, not {choice}"


@pytest.mark.parametrize("number", [6, None, [3, 3], "33"])
def test_numbers_of_layers_out_of_bounds_are_refused(number):
    choice = {"a": 3, "conv*": number, "*": 7}
    text = message(ValueError, lambda: check_choice("weight_bits", choice, 2, 5))
    assert text == f"quantize needs weight_bits from 2 to 5 for 'conv*', not {number}"


def test_channels_may_have_numbers_of_their_own_where_they_make_sense():
    choice = {"a": [1, 2, 7], "b": (3,), "*": 2}
    check_choice("terms", choice, 1, 7, by_channel=True)
    assert greatest(choice) == 7
    text = message(ValueError, lambda: check_choice("terms", {"a": [1, 8]}, 1, 7, by_channel=True))
    assert text == "quantize needs terms from 1 to 7 for 'a', not 8"


def test_an_empty_mapping_is_refused():
    text = message(ValueError, lambda: check_choice("terms", {}, 1, 7))
    assert text == "quantize needs terms from 1 to 7, not an empty mapping"


def test_names_that_are_none_are_refused():
    text = message(TypeError, lambda: check_choice("terms", {"a": 1, 3: 2}, 1, 7))
    assert text == "quantize needs terms by names of layers, not 3"


def test_the_greatest_number_is_of_all_layers():
    assert (greatest(3), greatest({"conv1": 5, "*": 2})) == (3, 5)
