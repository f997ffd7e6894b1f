"""What JSON says is held to annotations: every kind, every refusal, and its place."""

from dataclasses import dataclass
from typing import Annotated

import pytest

from qnn.fields import Count, FieldsError, Whole, parsed, typed, typed_fields


@dataclass(frozen=True)
class Part:
    name: str
    sizes: tuple[Count, Count]
    factor: float = 1.0

    def __post_init__(self):
        if not self.name:
            raise ValueError("a part has a name")


@dataclass(frozen=True)
class Network:
    parts: tuple[Part, ...]
    tables: dict[str, list[int]]
    bits: Annotated[int, Whole(2, 48)] | None
    kept: object


GOOD = {
    "parts": [{"name": "a", "sizes": [1, 2]}, {"name": "b", "sizes": [3, 4], "factor": 2}],
    "tables": {"x": [1, -1]},
    "bits": 8,
    "kept": {"any": ["thing"]},
}


def test_values_become_what_the_annotations_say():
    assert typed(Network, GOOD) == Network(
        (Part("a", (1, 2)), Part("b", (3, 4), 2.0)), {"x": [1, -1]}, 8, {"any": ["thing"]}
    )
    assert typed(Network, GOOD | {"bits": None}).bits is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"bits": True}, "bits needs a whole number of 64 bits, not True"),
        ({"bits": 1}, "bits needs a number from 2 to 48, not 1"),
        ({"bits": 1 << 63}, f"bits needs a whole number of 64 bits, not {1 << 63}"),
        ({"bits": 2.0}, "bits needs a whole number of 64 bits, not 2.0"),
        ({"parts": {}}, "parts needs a list, not an empty object"),
        ({"parts": [[]]}, "parts[0] needs an object, not an empty list"),
        ({"parts": [{"sizes": [1, 2]}]}, "parts[0] needs the key 'name', not 1 others"),
        (
            {"parts": [{"name": "", "sizes": [1, 2]}]},
            "parts[0] needs values that keep its rules, not those: a part has a name",
        ),
        (
            {"parts": [{"name": "a", "sizes": [1, 2], "size": 3}]},
            "parts[0] needs no key but name, sizes, factor, not 'size'",
        ),
        (
            {"parts": [{"name": "a", "sizes": [1, 2, 3]}]},
            "parts[0].sizes needs a list of 2, not [1, 2, 3]",
        ),
        (
            {"parts": [{"name": "a", "sizes": [1, 0]}]},
            "parts[0].sizes[1] needs a number from 1 to 2147483647, not 0",
        ),
        (
            {"parts": [{"name": 5, "sizes": [1, 2]}]},
            "parts[0].name needs text, not 5",
        ),
        (
            {"parts": [{"name": "a", "sizes": [1, 2], "factor": float("nan")}]},
            "parts[0].factor needs a finite number, not nan",
        ),
        ({"tables": {"x": [1, "2"]}}, "tables.x[1] needs a whole number of 64 bits, not '2'"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(change, text):
    with pytest.raises(FieldsError) as error:
        typed(Network, GOOD | change)
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (b"", "JSON, not text with the fault 'Expecting value: line 1 column 1 (char 0)'"),
        (b"[" * 100_000, "values that are nested less deeply, not more than a thousand"),
        (b'{"a": 1, "a": 2}', "each key once, not ['a', 'a']"),
        (
            b"[NaN]",
            "JSON, not text with the fault 'Out of range float values are not JSON compliant",
        ),
        (
            b"[1e999]",
            "JSON, not text with the fault 'Out of range float values are not JSON compliant",
        ),
        (
            b'"\\ud800"',
            "JSON, not text with the fault ''utf-8' codec can't encode character '\\ud800' in "
            "position 1: surrogates not allowed'",
        ),
        (
            b"\xff",
            "JSON, not text with the fault ''utf-8' codec can't decode byte 0xff in position 0: "
            "invalid start byte'",
        ),
    ],
)
def test_text_that_no_program_can_hold_is_refused(text, wrong):
    with pytest.raises(FieldsError) as error:
        parsed(text)
    # Python's releases end some of their texts in another way.
    assert str(error.value).startswith(f"it needs {wrong}")


def test_a_number_of_many_digits_is_not_printed():
    with pytest.raises(FieldsError, match=r"^it needs text, not a number of very many digits$"):
        typed(str, 10**5000)


def test_keys_that_may_be_left_out_are_named_by_who_reads():
    kinds = {"a": int, "b": str}
    assert typed_fields(kinds, {"a": 1}, ("b",)) == {"a": 1}
    with pytest.raises(FieldsError, match=r"^it needs the key 'b', not 1 others$"):
        typed_fields(kinds, {"a": 1})


def test_a_kind_that_no_file_can_hold_is_a_mistake_of_ours():
    with pytest.raises(TypeError, match=r"^a file's fields need plain kinds and dataclasses, not "):
        typed(set, [])
