"""Formats layer by layer: one number for all of them, or one for each name or pattern."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from qnn.errors import ModelError
from qnn.frontend.graph import FloatGraph

Choice = int | Mapping[str, int]  # for all layers, or by name or pattern
# Of a layer, one number or one for each output channel.
ChannelChoice = int | Mapping[str, int | Sequence[int]]


def check_choice(
    option: str, choice: ChannelChoice, least: int, most: int, *, by_channel: bool = False
) -> None:
    """Hold every number of ``choice`` to its bounds.

    Parameters
    ----------
    by_channel : whether a layer may have a sequence of numbers

    Raises
    ------
    TypeError
        A number is for something that is no name.
    ValueError
        A number is none, or out of bounds; or there is no number.
    """
    if not isinstance(choice, Mapping):
        check_number(option, choice, least, most)
        return
    if not choice:
        raise ValueError(f"quantize needs {option} from {least} to {most}, not an empty mapping")
    for name, value in choice.items():
        if not isinstance(name, str):
            raise TypeError(f"quantize needs {option} by names of layers, not {name!r}")
        for number in value if by_channel and is_sequence(value) else [value]:
            check_number(option, number, least, most, f" for '{name}'")


def check_number(option: str, value: int, least: int, most: int, where: str = "") -> None:
    """Hold one number to its bounds; raises as ``check_choice`` does."""
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"quantize needs {option} from {least} to {most}{where}, not {value}")


def is_sequence(value: int | Sequence[int]) -> bool:
    """Whether ``value`` has numbers for the output channels of a layer."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def greatest(choice: ChannelChoice) -> int:
    """The greatest number of ``choice``."""
    values = choice.values() if isinstance(choice, Mapping) else [choice]
    return max(max(value, default=1) if is_sequence(value) else value for value in values)


def by_convolution(
    option: str, choice: ChannelChoice, graph: FloatGraph
) -> dict[str, int | Sequence[int]]:
    """What each convolution of a graph has, as ``by_layer`` finds it."""
    learned = [conv.name for conv in graph.convs if not conv.fixed]
    fixed = [conv.name for conv in graph.convs if conv.fixed]
    return by_layer(option, choice, learned, fixed)


def by_layer(
    option: str, choice: ChannelChoice, learned: Sequence[str], fixed: Sequence[str]
) -> dict[str, int | Sequence[int]]:
    """What each layer has: that of the first pattern, in order, which matches its name.

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
