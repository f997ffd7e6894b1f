"""One number for a reader: its text, with its unit, and how it was got."""

from dataclasses import dataclass

from qnn.report.records import MARKS

UNITS = {  # ending of a key: factor, decimals, unit, where the label has none
    "_percent": (1, 2, "%"),
    "_utilisation": (100, 1, "%"),
    "_mhz": (1, 1, "MHz"),
    "_ns": (1, 2, "ns"),
    "_bytes": (1, 0, "bytes"),
    "_milliseconds": (1, 3, "ms"),
    "_per_second": (1, 1, ""),
    "_seconds": (1, 1, "s"),
    "_cycles_per_image": (1, 0, ""),
}


@dataclass(frozen=True)
class Number:
    """A value with its unit and how it was got.

    Members
    -------
    mark : one of ``MARKS``
    stale : of an image that the build folder no longer has
    """

    text: str
    mark: str
    stale: bool = False


def number(key: str, value: float, stale: bool = False) -> Number:
    """The number that ``key``, which begins with its mark, has in a report file."""
    mark = key.partition("_")[0]
    if mark not in MARKS:
        raise ValueError(f"report: '{key}' does not say how its number was got")
    for ending, (factor, decimals, unit) in UNITS.items():
        if key.endswith(ending):
            return Number(f"{value * factor:,.{decimals}f} {unit}".rstrip(), mark, stale)
    # Counts have no decimals, and means of counts have two.
    return Number(f"{value:,.0f}" if value == int(value) else f"{value:,.2f}", mark, stale)


def label(key: str) -> str:
    """What the key names, without its mark and its unit."""
    _, _, name = key.partition("_")
    for ending in ("_percent", "_mhz", "_bytes", "_seconds"):
        name = name.removesuffix(ending)
    return name.replace("_", " ")
