"""The result of a search as plain values: what JSON, the table and the page show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qnn.explore.command import sizes_text, terms_text
from qnn.explore.evaluation import Evaluated, Fidelity, Figure
from qnn.explore.front import PICKS, pick
from qnn.explore.goals import METRICS, Goals

SHOWN = ("accuracy", "test_accuracy", "lost", "fps", "cycles", "lut", "ff", "bram18", "energy")
IN_TABLE = tuple(name for name in SHOWN if name != "ff")  # as many as a pipe has room for


@dataclass(frozen=True, eq=False)
class Found:
    """What a search has found.

    Members
    -------
    title : of the network
    front : the designs to choose from
    others : all that were evaluated to find these
    command : of a design, to build it
    name : of a design, by which ``--pick`` takes it
    left_out : designs of the front, as they were compared, that were not made in full
    """

    title: str
    goals: Goals
    front: Sequence[Evaluated]
    others: Sequence[Evaluated]
    command: Callable[[Evaluated], str]
    name: Callable[[Evaluated], str]
    left_out: int = 0

    @property
    def picks(self) -> dict[str, str]:
        """The names of the designs that the words of ``--pick`` mean."""
        return {which: self.name(pick(self.front, self.goals, which)) for which in PICKS}

    @property
    def left_out_text(self) -> str:
        """What the table of the front does not have, in one line; empty if it has all."""
        if not self.left_out:
            return ""
        if any(each.fidelity is Fidelity.FULL for each in self.front):
            return (
                f"left out: {self.left_out} designs of the front that were compared and not made "
                f"in full"
            )
        return (
            "none of these was made in full: they are as they were compared, and cannot be picked"
        )

    def to_fields(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "network": self.title,
            "objectives": list(self.goals.objectives),
            "constraints": [str(each) for each in self.goals.constraints],
            "picks": self.picks if self.front else {},
            "front": [self._design(each, command=True) for each in self.front],
            "evaluated": [self._design(each) for each in self.others if each.failure is None],
            "failed": sum(each.failure is not None for each in self.others),
            "left_out": self.left_out,
        }

    def _design(self, each: Evaluated, *, command: bool = False) -> dict[str, Any]:
        fields = {
            "name": self.name(each),
            "fidelity": str(each.fidelity),
            **each.point.to_fields(),
            "terms_text": terms_text(each.point),
            "hardware": sizes_text(each.point),
            "figures": figures_fields(each.figures),
        }
        return {**fields, "command": self.command(each)} if command else fields


def figures_fields(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Each figure with its interval and its mark, in the order of tables."""
    return {
        name: {
            "value": figures[name].value,
            "low": figures[name].low,
            "high": figures[name].high,
            "mark": str(figures[name].mark),
        }
        for name in SHOWN
        if name in figures
    }


def figure_text(name: str, figure: Figure) -> str:
    """A figure with its error, in the digits that mean something."""
    percent = name in ("accuracy", "test_accuracy", "lost")
    # Digits that the errors leave a meaning.
    form = "{:.2f}" if percent else "{:,.1f}" if name == "energy" else "{:,.0f}"
    text = form.format(figure.value)
    if figure.low == figure.high:
        return text
    below, above = figure.value - figure.low, figure.high - figure.value
    # Of an interval that begins at the value, as a rate's does, both ends say more.
    if abs(below - above) > 0.01 * (below + above):
        return f"{text} ({form.format(figure.low)} to {form.format(figure.high)})"
    return f"{text} +- {form.format(above)}"


def unit(name: str) -> str:
    """Of a metric; the test's accuracy is no metric that a search could be led by."""
    return METRICS[name].unit if name in METRICS else "%"
