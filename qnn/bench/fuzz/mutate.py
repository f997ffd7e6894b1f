"""Hostile changes of valid values and bytes: what a file may hold that nobody meant it to."""

import copy
import json
from random import Random
from typing import Any

DEEP = 100_000  # nested lists: far more than any parser's stack
# Kinds that are mistaken for each other, ends of ranges, and names that lead elsewhere.
HOSTILE = (
    *(
        None,
        True,
        False,
        "",
        "x",
        "\0",
        "\ud800",
        "../secret",
        "/etc/passwd",
        "/dev/zero",
        "é" * 99,
    ),
    *(0, -1, 1, 2, 3, 7, 255, 1 << 16, 1 << 20, (1 << 31) - 1, 1 << 31, 1 << 40),
    *((1 << 63) - 1, 1 << 63, -(1 << 63), -(1 << 63) - 1, 10**400),
    *(0.5, -0.0, 1e308, 1e-320, float("inf"), float("-inf"), float("nan")),
    *([], {}, [[]], [0], [None], {"": 0}, {"a": {}}, [1, 2], [1, 2, 3], "9" * 5000),
)
# What ends texts, begins others, or is no character at all.
BYTES = (b"\0", b"\xff", b"{}", b"[", b'"', b"\x80", b"\n", b"\r", b"-", b"9" * 30, b"\0" * 64)


def mutated(rng: Random, value: Any, changes: int | None = None) -> Any:
    """A copy of a JSON value with one change, or a few, each at any depth."""
    value = copy.deepcopy(value)
    for _ in range(changes or rng.choice((1, 1, 1, 2, 3))):
        value = _changed(rng, value)
    return value


def _changed(rng, value):
    places = list(_places(value))
    # Rarely of the whole: a reader that refuses it at once is not tested any further.
    if not places or rng.random() < 0.02:
        return _hostile(rng, value)
    holder, key = rng.choice(places)
    rng.choice(_CHANGES)(rng, holder, key, places)
    return value


def _places(value):
    """Every pair of a container and a key of it."""
    waiting = [value] if isinstance(value, dict | list) else []
    while waiting:
        holder = waiting.pop()
        keys = holder if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            yield holder, key
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])


def _replace(rng, holder, key, _places):
    holder[key] = _hostile(rng, holder[key])


def _hostile(rng, value):
    if type(value) is int and rng.random() < 0.5:
        # Near the truth, so that it passes where kinds alone are looked at.
        return value + rng.choice((-2, -1, 1, 2, 8, value, -2 * value))
    # Longer than what it was, of values that are each right.
    if rng.random() < 0.05:
        return [value] * rng.choice((2, 300))
    return copy.deepcopy(rng.choice(HOSTILE))


def _delete(_rng, holder, key, _places):
    del holder[key]


def _repeat(rng, holder, key, _places):
    # A second entry of a list, or a key that stands for another.
    if isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    else:
        holder[rng.choice(("kind", "name", "", "unknown", f"{key}_"))] = copy.deepcopy(holder[key])


def _exchange(rng, holder, key, places):
    other, there = rng.choice(places)
    # Copies, as a value inside itself would be no JSON.
    one, two = copy.deepcopy(holder[key]), copy.deepcopy(other[there])
    holder[key] = two
    if other is not holder and isinstance(other, dict) and there in other:
        other[there] = one


def _shuffle(rng, holder, key, _places):
    if isinstance(holder[key], list):
        rng.shuffle(holder[key])
    else:
        _replace(rng, holder, key, _places)


# Replacing most often: it keeps the rest as it was, so that checks further in are met.
_CHANGES = (_replace, _replace, _replace, _replace, _delete, _repeat, _exchange, _shuffle)


def mutated_json(rng: Random, value: Any) -> bytes:
    """The text of a mutated value; now and then of none, or of one that is nested without end."""
    if rng.random() < 0.02:
        return rng.choice((b"", b"{}", b"[" * DEEP, b'{"a":' * DEEP, b"[]", b"5", b"null", b"\xff"))
    text = json.dumps(mutated(rng, value)).encode()
    return mutated_bytes(rng, text) if rng.random() < 0.1 else text


def mutated_bytes(rng: Random, data: bytes) -> bytes:
    """The bytes with some flipped, cut, repeated or put in."""
    held = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if not held:
            break
        place = rng.randrange(len(held))
        match rng.randrange(6):
            case 0 | 1:
                held[place] ^= 1 << rng.randrange(8)
            case 2:
                held[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 3:
                del held[place : place + rng.choice((1, 4, 64, len(held)))]
            case 4:
                held[place:place] = rng.choice(BYTES)
            case 5:
                length = rng.choice((1, 4, 64))
                held[place:place] = held[place : place + length]
    return bytes(held)
