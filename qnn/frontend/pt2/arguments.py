"""Arguments of a serialized call: JSON that says its own kind, as numbers, types and values."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

# By the numbers that a program has for them, which are not those of PyTorch itself.
SCALAR_TYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    9: torch.complex32,
    10: torch.complex64,
    11: torch.complex128,
    12: torch.bool,
    13: torch.bfloat16,
}
MEMORY_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
LAYOUTS = {7: torch.strided}
MOST = 1 << 62  # of a number: sizes and places are below

Values = Mapping[str, Any]  # what was computed, by its name in the program


def argument(given: dict[str, Any], values: Values) -> Any:
    """What a call is given: a value that was computed, or a constant.

    Raises
    ------
    KeyError
        It has a kind, or reads a value, that is not known.
    TypeError, ValueError
        It is not what its kind says.
    """
    ((kind, content),) = given.items()
    return KINDS[kind](content, values)


def _number(content, _values=None):
    if not isinstance(content, int) or abs(content) > MOST:
        raise ValueError(f"a number, not {content!r}")
    return content


def _real(content, _values=None):
    # JSON has no word for what is infinite, and programs write it as a text.
    if isinstance(content, str) and content not in ("Infinity", "-Infinity", "NaN"):
        raise ValueError(f"a real number, not {content!r}")
    return float(content)


def _text(content, _values=None):
    if not isinstance(content, str):
        raise TypeError(f"a text, not {content!r}")
    return content


def _truth(content, _values=None):
    if not isinstance(content, bool):
        raise TypeError(f"true or false, not {content!r}")
    return content


def _named(content, values):
    return values[content["name"]]


def _symbol(content, values):
    """A number, or one that is computed when the program runs."""
    return values[content["as_name"]] if "as_name" in content else argument(content, values)


def _nothing(_content, _values):
    return None


def _each(read: Callable) -> Callable:
    return lambda content, values: [read(each, values) for each in content]


KINDS: dict[str, Callable[[Any, Values], Any]] = {
    "as_none": _nothing,
    "as_tensor": _named,
    "as_tensors": _each(_named),
    "as_nested_tensors": _each(_each(_named)),
    "as_optional_tensor": argument,
    "as_optional_tensors": _each(argument),
    "as_int": _number,
    "as_ints": _each(_number),
    "as_int_lists": _each(_each(_number)),
    "as_float": _real,
    "as_floats": _each(_real),
    "as_string": _text,
    "as_strings": _each(_text),
    "as_bool": _truth,
    "as_bools": _each(_truth),
    "as_sym_int": _symbol,
    "as_sym_ints": _each(_symbol),
    "as_sym_float": _symbol,
    "as_sym_floats": _each(_symbol),
    "as_sym_bool": _symbol,
    "as_sym_bools": _each(_symbol),
    "as_scalar_type": lambda content, _values: SCALAR_TYPES[content],
    "as_memory_format": lambda content, _values: MEMORY_FORMATS[content],
    "as_layout": lambda content, _values: LAYOUTS[content],
    # Wherever it was exported, it is read here.
    "as_device": lambda _content, _values: torch.device("cpu"),
    "as_complex": lambda content, _values: complex(_real(content["real"]), _real(content["imag"])),
}
