"""Values of JSON as the kinds that annotations name: a file is checked once, where it is read.

A dataclass is its own schema: ``typed(Layer, values)`` needs an object with its fields, each of
the kind of its annotation. Whole numbers fit 64 bits, reals are finite, and text can be encoded, so
that nothing behind a reader has to ask again. ``Whole`` narrows an annotation of a number.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, NoReturn, Union, get_args, get_origin, get_type_hints

LONGEST = 40  # characters of a wrong value in a message: enough to find it in the file
INT64 = 1 << 63


class FieldsError(ValueError):
    """Values that are not of the kinds that their file needs; the text says which, and why.

    Parameters
    ----------
    needs : what the place needs
    got : what stands there; text is printed as it is
    path : keys and numbers that lead to it, the outermost first
    """

    def __init__(self, needs: str, got: object, path: tuple[str | int, ...] = ()):
        self.needs, self.got, self.path = needs, got, path
        place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
        super().__init__(f"{place.lstrip('.') or 'it'} needs {needs}, not {got}")

    def inside(self, key: str | int) -> "FieldsError":
        """The same error, seen from what holds the place under ``key``."""
        return FieldsError(self.needs, self.got, (key, *self.path))


@dataclass(frozen=True)
class Whole:
    """Marks a number of an annotation: ``Annotated[int, Whole(1, 64)]`` is from 1 to 64."""

    least: int
    most: int = INT64 - 1


Count = Annotated[int, Whole(1, (1 << 31) - 1)]  # of what there is at least one
Place = Annotated[int, Whole(0, (1 << 40) - 1)]  # an address, a distance, a size of bytes
# Of a scale: the least and the greatest real of double precision are 2**-1074 and 2**1024.
Exponent = Annotated[int, Whole(-1074, 1074)]


def parsed(text: bytes | str) -> Any:
    """The value that JSON holds.

    Raises
    ------
    FieldsError
        It is none, nested too deeply, names a key twice, or has a number or a text that no program
        can hold.
    """
    try:
        value = json.loads(text, object_pairs_hook=_object)
        # The reader takes infinities and half characters, and no writer of ours does.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise FieldsError("values that are nested less deeply", "more than a thousand") from None
    except FieldsError:
        raise
    except ValueError as error:
        raise FieldsError("JSON", f"text with the fault '{error}'") from None
    return value


def typed(kind: Any, value: Any) -> Any:
    """``value``, which JSON gave, as the kind of an annotation; lists become tuples where it asks.

    Raises
    ------
    FieldsError
        It is of another kind, or what the dataclass itself refuses.
    """
    return _reader(kind)(value)


def typed_fields(kinds: Mapping[str, Any], value: Any, optional: tuple[str, ...] = ()) -> dict:
    """The object ``value`` with a key for each of ``kinds``, and no other; raises as ``typed``."""
    if type(value) is not dict:
        _refuse("an object", value)
    for name in value:
        if name not in kinds:
            _refuse(f"no key but {', '.join(kinds)}", name)
    found = {}
    for name, kind in kinds.items():
        if name in value:
            found[name] = _under(name, _reader(kind), value[name])
        elif name not in optional:
            raise FieldsError(f"the key '{name}'", f"{len(value)} others")
    return found


def _object(pairs):
    """A dictionary of the pairs; of two equal keys one would be lost without a word."""
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("each key once", [name for name, _ in pairs])
    return found


def _shown(value):
    if isinstance(value, dict | list | tuple) and not value:
        return {dict: "an empty object", list: "an empty list", tuple: "an empty list"}[type(value)]
    try:
        text = repr(value)
    except ValueError:  # of more digits than Python prints
        return "a number of very many digits"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _under(key, reader, value):
    try:
        return reader(value)
    except FieldsError as error:
        raise error.inside(key) from None


@cache
def _reader(kind) -> Callable[[Any], Any]:
    """A function that gives a value as ``kind``: made once, because files hold many values."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if is_dataclass(kind):
        return _dataclass(kind)
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin is Annotated:
        return _narrowed(*arguments)
    if origin in (Union, UnionType):
        return _either(arguments)
    if origin is tuple:
        return _tuple(arguments)
    if origin is list:
        item = _reader(arguments[0]) if arguments else _PLAIN[object]
        return lambda value: [_under(n, item, each) for n, each in enumerate(_list(value))]
    if origin in (dict, Mapping):
        return _mapping(*arguments) if arguments else _mapping(str, object)
    raise TypeError(f"a file's fields need plain kinds and dataclasses, not {kind}; change it")


def _refuse(needs, value) -> NoReturn:
    raise FieldsError(needs, _shown(value))


def _whole(value):
    # A truth value is an int to Python, and never what a file means by a number.
    if type(value) is not int or not -INT64 <= value < INT64:
        _refuse("a whole number of 64 bits", value)
    return value


def _real(value):
    if type(value) not in (int, float) or not -1e308 <= value <= 1e308:
        _refuse("a finite number", value)
    return float(value)


def _exactly(kind, needs):
    return lambda value: value if type(value) is kind else _refuse(needs, value)


def _list(value):
    # Programs build the same fields with tuples.
    return value if type(value) in (list, tuple) else _refuse("a list", value)


_PLAIN: dict[Any, Callable[[Any], Any]] = {
    int: _whole,
    float: _real,
    str: _exactly(str, "text"),
    bool: _exactly(bool, "true or false"),
    NoneType: _exactly(NoneType, "null"),
    object: lambda value: value,
    Any: lambda value: value,
}


def _narrowed(kind, limits):
    plain = _reader(kind)

    def read(value):
        found = plain(value)
        if not limits.least <= found <= limits.most:
            _refuse(f"a number from {limits.least} to {limits.most}", value)
        return found

    return read


def _either(kinds):
    readers = [_reader(kind) for kind in kinds]
    optional = NoneType in kinds

    def read(value):
        if value is None and optional:
            return None
        error = None
        for reader, kind in zip(readers, kinds, strict=True):
            try:
                return reader(value) if kind is not NoneType else _refuse("null", value)
            except FieldsError as refusal:
                # The one that got furthest into the value is about the kind that was meant.
                if error is None or len(refusal.path) > len(error.path):
                    error = refusal
        raise error

    return read


def _tuple(kinds):
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        item = _reader(kinds[0])
        return lambda value: tuple(_under(n, item, each) for n, each in enumerate(_list(value)))
    readers = [_reader(kind) for kind in kinds]

    def read(value):
        if len(_list(value)) != len(readers):
            _refuse(f"a list of {len(readers)}", value)
        pairs = zip(readers, value, strict=True)
        return tuple(_under(n, reader, each) for n, (reader, each) in enumerate(pairs))

    return read


def _mapping(_keys, kind):
    item = _reader(kind)

    def read(value):
        if type(value) is not dict:
            _refuse("an object", value)
        return {key: _under(key, item, each) for key, each in value.items()}

    return read


def _dataclass(kind):
    hints = get_type_hints(kind, include_extras=True)
    own = [field for field in fields(kind) if field.init]
    kinds = {field.name: hints[field.name] for field in own}
    optional = tuple(
        field.name
        for field in own
        if field.default is not MISSING or field.default_factory is not MISSING
    )

    def read(value):
        found = typed_fields(kinds, value, optional)
        try:
            return kind(**found)
        except FieldsError:
            raise
        except ValueError as error:  # of the class itself, whose rules are its own
            raise FieldsError("values that keep its rules", f"those: {error}") from None

    return read
