"""The table of networks in Markdown: what users look for first."""

from collections.abc import Sequence

from qnn.bench.zoo.row import ZooRow

HEAD = (
    ("network", "taken", "fidelity (dB)", "values compared", "different", "cycles", "array busy"),
    ("---", "---", "--:", "--:", "--:", "--:", "--:"),
)


def summary(rows: Sequence[ZooRow]) -> dict[str, int]:
    """How many networks there are, are taken, are verified, and have no room."""
    return {
        "networks": len(rows),
        "accepted": sum(row.accepted for row in rows),
        "verified": sum(row.passed and row.unfit is None for row in rows),
        "unfit": sum(row.unfit is not None for row in rows),
        "different": sum(bool(row.mismatches) for row in rows),
    }


def markdown(rows: Sequence[ZooRow]) -> str:
    """A table for each family, in the order of the list."""
    # As the list has them: whoever wrote it put like with like.
    lines = []
    for family in dict.fromkeys(row.family for row in rows):
        members = [row for row in rows if row.family == family]
        lines += ["", f"## {family}", "", *(_line(cells) for cells in HEAD)]
        lines += [_line(_cells(row)) for row in members]
    return "\n".join(lines).strip() + "\n"


def _line(cells):
    return f"| {' | '.join(cells)} |"


def _cells(row):
    return (
        f"`{row.name}`",
        _taken(row),
        "" if row.fidelity_db is None else f"{row.fidelity_db:.1f}",
        _count(row.values),
        _count(row.mismatches),
        _count(row.cycles),
        "" if row.utilisation is None else f"{100 * row.utilisation:.0f} %",
    )


def _taken(row):
    """Whether it is taken, and what it lacks where it is not."""
    why = row.unfit or row.failure or "; ".join(row.lacks)
    if row.ended_in and why:
        why = f"{why} ({row.ended_in})"
    # A bar would end the cell.
    why = why.replace("|", "\\|").replace("\n", " ")
    return f"{'yes' if row.accepted else 'no'}{': ' * bool(why)}{why}"


def _count(number):
    return "" if number is None else f"{number:,}"
