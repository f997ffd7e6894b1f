"""What a search chose, and why, in lines for people."""

from collections.abc import Sequence

from qnn.ptq.auto.options import AutoResult
from qnn.ptq.auto.trials import MEASURED

LISTED = 8  # layers that a line names where all have as many terms


def told(outcome: AutoResult, unit: str) -> Sequence[str]:
    """What was chosen, in lines."""
    whole: dict[int, list[str]] = {}
    parts: dict[int, list[str]] = {}
    for name, terms in outcome.terms.items():
        if isinstance(terms, int):
            whole.setdefault(terms, []).append(name)
            continue
        for count in set(terms):
            parts.setdefault(count, []).append(name)
    counts = sorted(whole.keys() | parts.keys(), reverse=True)
    usual = max(whole, key=lambda count: len(whole[count]), default=1)
    found = outcome.activations
    lines = [] if found is None else [found.text(outcome.target, unit)]
    for count in counts:
        names = whole.get(count, [])
        least = count == counts[-1]
        # What has not been told of has the fewest terms; so have the other rows of a layer.
        others = len(counts) > 1 and len(names) > 1 and count == usual
        shown = [] if others else [_layer(name, outcome, count) for name in names]
        rows = [] if least else [_rows(name, outcome, count) for name in parts.get(count, [])]
        # Names say nothing where they are all that there are.
        if len(names) == len(outcome.terms) > LISTED:
            shown = [f"all {len(names)} layers"]
        rest = ["all others"] * others + ["all other rows"] * (least and not names)
        listed = ", ".join([*rows, *shown, *rest])
        lines.append(f"{count} term{'s' * (count > 1)}: {listed}")
    lines.append(
        f"expected loss {outcome.loss} {unit} (target {outcome.target:g}), "
        f"{outcome.cost:.2f} times the cost of one term everywhere"
    )
    return lines


def _layer(name, outcome, count) -> str:
    """A layer with what it would lose alone with one term less, as far as that was measured."""
    fewer = outcome.losses.get(name, {}).get(count - 1) if count - 1 <= MEASURED else None
    return name if fewer is None else f"{name} (alone {fewer:.2g} with {count - 1})"


def _rows(name, outcome, count) -> str:
    """The rows of a layer with their share of what it would lose alone with one term."""
    terms, shares = outcome.terms[name], outcome.shares.get(name)
    rows = [row for row, k in enumerate(terms) if k == count]
    fewer = outcome.losses.get(name, {}).get(1)
    text = f"{len(rows)} of {len(terms)} rows of {name}"
    if fewer is None or shares is None:
        return text
    share = 100 * sum(shares[row] for row in rows)
    return f"{text} ({share:.0f} % of {fewer:.2g} with 1)"
