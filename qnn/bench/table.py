"""Results as a table for people: by group, with one row for all seeds of a run."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from qnn.bench.markdown import table_lines
from qnn.bench.results import Result

HEADER = ("method", "model", "weights", "activations", "result", "float", "steps", "time")


@dataclass(frozen=True)
class Part:
    """One group of the table, its rows as texts, in the columns of ``HEADER``."""

    title: str
    rows: tuple[tuple[str, ...], ...]


def table(results: Iterable[Result]) -> list[Part]:
    """Groups and rows, in the order of the results."""
    groups: dict[str, dict[str, list[Result]]] = {}
    for result in results:
        # Accuracies and perplexities have no mean in common.
        key = f"{result.test_accuracy is None} {_but_seed(result)}"
        groups.setdefault(result.group, {}).setdefault(key, []).append(result)
    return [
        Part(title, tuple(_row(seeds) for seeds in rows.values())) for title, rows in groups.items()
    ]


def markdown(results: Iterable[Result]) -> str:
    """The table for a README, with what it was measured on."""
    results = list(results)
    lines = []
    for part in table(results):
        lines += [f"**{part.title}**", "", *table_lines(HEADER, part.rows), ""]
    places = {
        f"{r.machine.get('gpu') or r.machine['cpu']}, {r.threads} "
        f"{'thread' if r.threads == 1 else 'threads'}, torch {r.torch_version}, commit {r.commit}"
        for r in results
    }
    return "\n".join([*lines, *(f"Measured on: {place}." for place in sorted(places)), ""])


def _but_seed(result):
    """What results share that differ in their seed alone, as text."""
    # The seed stands in the settings of its method too.
    settings = {**result.definition.get("settings", {}), "seed": None}
    return json.dumps({**result.definition, "settings": settings, "seed": None}, sort_keys=True)


def _row(seeds):
    first = seeds[0]
    weights = f"{first.weight_bits} bits{_terms(first)}"
    bits = first.activation_bits
    score, of_float = _scores(seeds)
    return (
        _method(first),
        first.model,
        weights,
        "float" if bits is None else f"{bits} bits",
        score,
        of_float,
        f"{first.steps:,}" if first.steps else "-",
        _time(statistics.mean(result.seconds for result in seeds)),
    )


def _method(result):
    too = result.definition.get("settings", {}).get("next_share")
    return result.method.replace("_", " ") + (", next tokens too" if too else "")


def _terms(result):
    if result.terms is None:
        mean = "" if result.mean_terms is None else f", {result.mean_terms:.2f} terms on average"
        return mean if result.cycles is None else f"{mean}, {result.cycles:.2f} x the cycles of one"
    return f", {result.terms} terms" if result.terms > 1 else ""


def _scores(seeds):
    """The result and float's, in percent, or as perplexities."""
    if seeds[0].test_accuracy is not None:
        found = [result.test_accuracy for result in seeds]
        return f"{_spread(found, 2)} %", _number(seeds[0].float_accuracy, ".2f", " %")
    found = [result.test_perplexity for result in seeds]
    return f"perplexity {_spread(found, 3)}", _number(seeds[0].float_perplexity, ".3f")


def _number(value, digits, unit=""):
    return "-" if value is None else f"{value:{digits}}{unit}"


def _spread(values, digits):
    mean = f"{statistics.mean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    # The sample's deviation, with n - 1: there are three seeds.
    return f"{mean} ± {statistics.stdev(values):.{digits}f} ({len(values)} seeds)"


def _time(seconds):
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min"
