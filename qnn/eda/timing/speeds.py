"""Speed grades: -1 and -2 have tables of cells; nets are known in -1 alone."""

from qnn.errors import ArgumentError

GRADES = ("-1", "-2")


def check_grade(grade: str) -> None:
    """Raise an ArgumentError for a speed grade that no table is of."""
    if grade not in GRADES:
        raise ArgumentError(
            f"speed grade needs to be one of {', '.join(GRADES)}, not '{grade}'; take the one of "
            f"your device"
        )
