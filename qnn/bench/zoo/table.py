"""The page of networks in Markdown: what users look for first."""

from collections.abc import Sequence

from qnn.bench.core_clock import rate_clock
from qnn.bench.markdown import table_lines
from qnn.bench.zoo.row import ZooRow

LOW_DB = 30.0  # of fidelity, below which the page says why
HEAD = (
    *("network", "taken", "fidelity (dB)", "values, of which differ", "cycles", "array busy"),
    *("images/s", "seconds"),
)
TEXTS = 2  # columns that are no numbers
INTRODUCTION = """\
# Networks

What `qnn` makes of networks that people use: whether it takes each one, and what a network lacks
that it does not take. `tv` stands for torchvision, `timm` for timm, `cv` for pytorchcv and `own`
for small networks of this field that were written for this list.

```sh
qnn bench zoo LIST --out results/models.jsonl    # measures what the file does not have yet
qnn bench zoo --table results/models.jsonl       # prints this page
```

Weights are random, as if trained: this is no page of accuracies.

- **taken**: whether the network is captured, fused and quantized; else what it lacks, or why it
  ended. A network that is taken may have no room in the configuration, with the numbers.
- **fidelity** (measured): signal to noise of the outputs against the float network's, on other
  images than those of calibration, with four terms of 4-bit codes and 16-bit activations. This is
  the error of lowering alone, and not that of the 3-bit weights that all other columns have.
- **values, of which differ** (measured): every value of every tensor for one image, on the
  functional simulator, against the reference.
- **cycles**, **array busy** (simulated): of one image by the cycle model, and the share of the
  array's products that are the network's.
- **images/s** (estimated): from the cycles, at
  {clock}.
- **seconds** (measured): of all these steps for one network, on one thread of a shared machine.
"""


def summary(rows: Sequence[ZooRow]) -> dict[str, int]:
    """How many networks there are, are taken, are verified, and have no room."""
    return {
        "networks": len(rows),
        "accepted": sum(row.accepted for row in rows),
        "verified": sum(row.passed and row.unfit is None for row in rows),
        "unfit": sum(row.unfit is not None for row in rows),
        "different": sum(bool(row.mismatches) for row in rows),
    }


def page(rows: Sequence[ZooRow]) -> str:
    """The whole page: what the columns are, the counts, and a table for each family."""
    newest = list({row.name: row for row in rows}.values())
    parts = [INTRODUCTION.format(clock=rate_clock()), _counts(newest), _low(newest)]
    return "\n".join([part for part in parts if part] + [markdown(newest)])


def markdown(rows: Sequence[ZooRow]) -> str:
    """A table for each family, in the order of the list."""
    # As the list has them: whoever wrote it put like with like.
    lines = []
    for family in dict.fromkeys(row.family for row in rows):
        members = [row for row in rows if row.family == family]
        lines += ["", f"## {family}", "", *table_lines(HEAD, map(_cells, members), TEXTS)]
    return "\n".join(lines).strip() + "\n"


def _counts(rows):
    counts = summary(rows)
    commits = sorted({row.commit for row in rows if row.commit})
    configs = sorted({row.definition["config"] for row in rows if "config" in row.definition})
    return (
        f"Of {counts['networks']} networks, {counts['accepted']} are taken. Of these, "
        f"{counts['verified']} are verified in every value, {counts['unfit']} have no room in the "
        f"configuration, and {counts['different']} differ. Configuration: {', '.join(configs)}. "
        f"Commits: {', '.join(commits) or 'unknown'}.\n"
    )


def _low(rows):
    """Why some networks have a low fidelity; nothing where none has."""
    low = [row for row in rows if row.fidelity_db is not None and row.fidelity_db < LOW_DB]
    if not low:
        return ""
    return "\n".join(
        [
            f"Below {LOW_DB:g} dB of fidelity; what there is with seven terms of each weight "
            f"instead of four, so that\nwhat is missing from it is the weights' rounding; and what "
            f"the float network itself keeps of 60 dB\nwhen the results of each layer are "
            f"disturbed so little:\n",
            *(f"- `{row.name}`: {row.fidelity_db:.1f} dB{_kept(row)}" for row in low),
            "",
        ]
    )


def _kept(row):
    terms, noise = row.most_terms_db, row.noise_db
    with_terms = "" if terms is None else f"; {terms:.1f} dB with seven terms"
    return with_terms + ("" if noise is None else f"; it keeps {noise:.1f} of 60 dB")


def _cells(row):
    return (
        f"`{row.name}`",
        _taken(row),
        "" if row.fidelity_db is None else f"{row.fidelity_db:.1f}",
        "" if row.values is None else f"{row.values:,}, {row.mismatches:,}",
        _count(row.cycles),
        "" if row.utilisation is None else f"{100 * row.utilisation:.0f} %",
        "" if not row.cycles else _rate(rate_clock().hertz / row.cycles),
        f"{row.seconds:.0f}",
    )


def _taken(row):
    """Whether it is taken, and what it lacks where it is not."""
    why = row.unfit or row.failure or _lacks(row)
    if row.ended_in and why:
        why = f"{why} ({row.ended_in})"
    # A bar would end the cell.
    why = why.replace("|", "\\|").replace("\n", " ")
    return f"{'yes' if row.accepted else 'no'}{': ' * bool(why)}{why}"


def _lacks(row):
    """The first fault of each operator, and how many more it has."""
    faults: dict[str, list[str]] = {}
    for lack in row.lacks:
        faults.setdefault(lack.partition(":")[0], []).append(lack)
    return "; ".join(
        f"{first}{f' (and {len(more)} more)' if more else ''}" for first, *more in faults.values()
    )


def _count(number):
    return "" if number is None else f"{number:,}"


def _rate(each_second):
    """Images in a second, in three digits at least: no estimate has more."""
    return f"{each_second:,.0f}" if each_second >= 100 else f"{each_second:.3g}"
