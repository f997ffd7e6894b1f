"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def table_lines(
    header: Sequence[str], rows: Iterable[Sequence[str]], texts: int | None = None
) -> list[str]:
    """The lines of a table, of whose columns the first ``texts`` are texts and the others numbers.

    Without ``texts`` all are.
    """
    count = len(header) if texts is None else texts
    rule = ["---"] * count + ["--:"] * (len(header) - count)
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]
