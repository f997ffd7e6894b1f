"""Formats layer by layer: one number for all of them, or one for each name or pattern."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from qnn.errors import ModelError

Choice = int | Mapping[str, int]  # for all layers, or by name or pattern


def check_choice(option: str, choice: Choice, least: int, most: int) -> None:
    """Hold every number of ``choice`` to its bounds.

    Raises
    ------
    TypeError
        A number is for something that is no name.
    ValueError
        A number is none, or out of bounds; or there is no number.
    """
    for value in choice.values() if isinstance(choice, Mapping) else [choice]:
        check_number(option, value, least, most)
    if choice == {}:
        raise ValueError(f"quantize needs {option} from {least} to {most}, not an empty mapping")
    for name in choice if isinstance(choice, Mapping) else ():
        if not isinstance(name, str):
            raise TypeError(f"quantize needs {option} by names of layers, not {name!r}")


def check_number(option: str, value: int, least: int, most: int) -> None:
    """Hold one number to its bounds; raises as ``check_choice`` does."""
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"quantize needs {option} from {least} to {most}, not {value}")


def greatest(choice: Choice) -> int:
    """The greatest number of any layer in ``choice``."""
    return max(choice.values()) if isinstance(choice, Mapping) else choice


def by_layer(
    option: str, choice: Choice, learned: Sequence[str], fixed: Sequence[str]
) -> dict[str, int]:
    """The number of each layer: that of the first pattern, in order, which matches its name.

    A name is a pattern that matches itself; others are as in ``fnmatch``, case counts. A layer
    whose weights the architecture gives takes the greatest number if no pattern matches it.

    Parameters
    ----------
    option : what the texts of refusals call ``choice``
    learned : names of the layers that need a match
    fixed : names of the layers that need none

    Raises
    ------
    ModelError
        A layer has no match, or a pattern is the first match of no layer.
    """
    names = (*learned, *fixed)
    if not isinstance(choice, Mapping):
        return dict.fromkeys(names, choice)
    # Case counts, as it does in Python's names; fnmatch itself would follow the file system.
    first = {name: next((p for p in choice if fnmatchcase(name, p)), None) for name in names}
    for name in learned:
        if first[name] is None:
            raise ModelError(
                f"{option} needs a match for every layer, but none of "
                f"{', '.join(map(repr, choice))} matches '{name}'; end with '*'"
            )
    for pattern in choice:
        # A pattern without effect is a misspelt name more often than a wish.
        if pattern not in first.values():
            _refuse_unused(option, pattern, names)
    most = greatest(choice)
    return {name: most if pattern is None else choice[pattern] for name, pattern in first.items()}


def _refuse_unused(option, pattern, names):
    if any(fnmatchcase(name, pattern) for name in names):
        raise ModelError(
            f"{option} needs '{pattern}' before the patterns that match all its layers first; move "
            f"it up, or leave it out"
        )
    raise ModelError(
        f"{option} needs patterns that match a layer, not '{pattern}'; the layers are "
        f"{', '.join(names)}"
    )
