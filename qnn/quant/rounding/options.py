"""Checks that the options of rounding methods share."""

from collections.abc import Collection


def positive(method: str, options: object, *names: str) -> None:
    """Require finite values over 0.

    Raises
    ------
    ValueError
        One is not.
    """
    for name in names:
        value = getattr(options, name)
        if not 0 < value < float("inf"):
            raise ValueError(f"{method} needs {name} over 0, not {value}")


def within(method: str, options: object, least: float, most: float, *names: str) -> None:
    """Require ``least <= value <= most``.

    Raises
    ------
    ValueError
        One is not.
    """
    for name in names:
        value = getattr(options, name)
        if not least <= value <= most:
            limit = f"of at least {least}" if most == float("inf") else f"from {least} to {most}"
            raise ValueError(f"{method} needs {name} {limit}, not {value}")


def one_of(method: str, options: object, **choices: Collection[str]) -> None:
    """Require each named option to be one of its choices.

    Raises
    ------
    ValueError
        One is not.
    """
    for name, allowed in choices.items():
        value = getattr(options, name)
        if value not in allowed:
            raise ValueError(f"{method} needs {name} {' or '.join(allowed)}, not '{value}'")
