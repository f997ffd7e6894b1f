"""What a search wants: objectives, and constraints that a design must keep."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from qnn.errors import ArgumentError
from qnn.explore.evaluation import Evaluated, Figure


@dataclass(frozen=True)
class Metric:
    """A number of a design.

    Members
    -------
    sign : 1 where more is better, else -1
    log : whether factors count, and not differences
    exact : whether the array's sizes alone decide it
    """

    name: str
    sign: int
    unit: str
    log: bool = True
    exact: bool = False

    def utility(self, value: float) -> float:
        """More is better, and equal steps are worth the same."""
        return self.sign * (math.log(max(value, 1e-12)) if self.log else value)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", 1, "%", log=False),
        Metric("lost", -1, "points or %", log=False),
        Metric("fps", 1, "frames/s"),
        Metric("cycles", -1, "cycles an image"),
        Metric("energy", -1, "uJ an image"),
        # Equal factors of size or speed are worth the same, and equal points of accuracy.
        Metric("lut", -1, "LUT", exact=True),
        Metric("ff", -1, "flip-flops", exact=True),
        Metric("bram18", -1, "half block RAMs", exact=True),
    )
}
PATTERN = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*([0-9.eE+-]+)\s*")


@dataclass(frozen=True)
class Constraint:
    """A bound of a metric: at most ``bound``, or at least."""

    metric: str
    most: bool
    bound: float

    def kept(self, value: float) -> bool:
        """Whether a value is within the bound."""
        return value <= self.bound if self.most else value >= self.bound

    def __str__(self) -> str:
        return f"{self.metric}{'<' if self.most else '>'}{self.bound:g}"


@dataclass(frozen=True)
class Goals:
    """Objectives by name, and constraints."""

    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...] = ()

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Of the objectives."""
        return tuple(METRICS[name] for name in self.objectives)

    @property
    def names(self) -> set[str]:
        """The metrics that a design has to have: of objectives and of constraints."""
        return {*self.objectives, *(each.metric for each in self.constraints)}

    def utilities(self, evaluation: Evaluated) -> tuple[float, ...]:
        """Of the objectives; more is better."""
        return tuple(m.utility(evaluation.value(m.name)) for m in self.metrics)

    def feasible(self, evaluation: Evaluated) -> bool:
        """Whether there is such a design, and it keeps all constraints."""
        return evaluation.failure is None and self.keeps(evaluation.figures)

    def keeps(self, figures: Mapping[str, Figure]) -> bool:
        """Whether figures keep the constraints of what they have."""
        return all(
            each.kept(figures[each.metric].value)
            for each in self.constraints
            if each.metric in figures
        )

    def violation(self, evaluation: Evaluated) -> float:
        """How far a design is beyond its constraints, relatively; infinite if there is none."""
        if evaluation.failure is not None:
            return math.inf
        beyond = 0.0
        for each in self.constraints:
            value = evaluation.value(each.metric)
            if not each.kept(value):
                # Relative, as LUTs and percent are added up.
                beyond += abs(value - each.bound) / max(abs(each.bound), 1e-9)
        return beyond


def objectives_in(text: str) -> tuple[str, ...]:
    """The objectives that a text such as ``accuracy,fps,lut`` names.

    Raises
    ------
    ArgumentError
        A metric does not exist, comes twice, or there is none.
    """
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        _known(name, "objectives need")
    if len(set(names)) != len(names) or len(names) < 2:
        raise ArgumentError(f"objectives need two or more metrics, each once, not '{text}'")
    return names


def constraints_in(text: str | None) -> tuple[Constraint, ...]:
    """The constraints that a text such as ``lut<205560,accuracy>90`` has.

    Raises
    ------
    ArgumentError
        It cannot be read, or no number keeps two of them.
    """
    found = tuple(_constraint(part) for part in text.split(",")) if text else ()
    # Each lower bound beside each upper one of the same metric.
    for least in (each for each in found if not each.most):
        for most in (each for each in found if each.most and each.metric == least.metric):
            if least.bound > most.bound:
                raise ArgumentError(
                    f"constraints {least} and {most} contradict each other; leave one out"
                )
    return found


def _constraint(part) -> Constraint:
    match = PATTERN.fullmatch(part)
    try:
        name, sign, number = match.groups() if match else ("", "", "")
        bound = float(number)
        # What every number keeps is no bound, and JSON has no word for it.
        if not math.isfinite(bound):
            raise ValueError("infinite")
    except ValueError:
        raise ArgumentError(
            f"constraints need METRIC<NUMBER or METRIC>NUMBER with commas, not '{part}'"
        ) from None
    _known(name, "constraints need")
    return Constraint(name, sign.startswith("<"), bound)


def _known(name, needs):
    if name not in METRICS:
        raise ArgumentError(f"{needs} metrics of {', '.join(METRICS)}, not '{name}'")


def check_reachable(goals: Goals, float_accuracy: float | None) -> None:
    """Raise where no quantized network can keep a constraint or have an objective.

    Raises
    ------
    ArgumentError
        The text has the float network's accuracy.
    """
    if "accuracy" in goals.names and float_accuracy is None:
        raise ArgumentError(
            "accuracy needs labelled test images of one output of classes; take 'lost' instead"
        )
    for each in goals.constraints:
        least_of_percent = each.metric == "accuracy" and not each.most
        if least_of_percent and float_accuracy is not None and each.bound > float_accuracy:
            raise ArgumentError(
                f"constraint {each} is impossible: the float network has {float_accuracy:.2f}; "
                f"ask for less"
            )
        impossible = each.most and each.bound < 0
        if impossible:
            raise ArgumentError(f"constraint {each} is impossible: no {each.metric} is below 0")
