"""What is known of a point: figures, each with its interval and how it was got."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from qnn.explore.point import Point


class Fidelity(StrEnum):
    """How the accuracy of a point is known; the order is that of cost.

    Members
    -------
    PROXY : predicted from the sensitivity of each layer, which was measured once
    QUICK : the layers are rounded on few images, and judged on images held out
    FULL : the network is quantized as the point's command does it, and tested
    """

    PROXY = "proxy"
    QUICK = "quick"
    FULL = "full"


class Mark(StrEnum):
    """How a number was got, as reports call it."""

    MEASURED = "measured"
    SIMULATED = "simulated"
    ESTIMATED = "estimated"


@dataclass(frozen=True)
class Figure:
    """A number, and the interval in which it lies 19 times of 20, or in all cases that are known.

    Members
    -------
    mark : how the number was got, one of ``Mark``
    """

    value: float
    low: float
    high: float
    mark: str

    @staticmethod
    def about(value: float, error: float, mark: Mark) -> "Figure":
        """The number with an error to both sides."""
        return Figure(value, value - error, value + error, mark)

    def __post_init__(self):
        # Figures come from files, too.
        if self.mark not in tuple(Mark):
            raise ValueError(f"a figure is {', '.join(Mark)}, not '{self.mark}'")


@dataclass(frozen=True)
class RoundedNetwork:
    """A network's integers and what they lose: what designs on other arrays have in common.

    Members
    -------
    figures : of accuracy alone, by the metric's name
    graph : bytes of the integer graph
    """

    figures: Mapping[str, Figure]
    graph: bytes = field(repr=False)


@dataclass(frozen=True)
class Evaluated:
    """A point with its figures.

    Members
    -------
    figures : by the metric's name; none where the point failed
    failure : why there is no such design, in one line; None where there is one
    rounded : the network of the quick or full fidelity; None where a store has it by itself
    seconds : that the evaluation took
    """

    point: Point
    fidelity: Fidelity
    figures: Mapping[str, Figure] = field(default_factory=dict)
    failure: str | None = None
    rounded: RoundedNetwork | None = field(default=None, repr=False)
    seconds: float = 0.0

    @property
    def graph(self) -> bytes:
        """Of the rounded network; no bytes where there is none, which no reader takes for one."""
        return self.rounded.graph if self.rounded else b""

    def has(self, metrics: Iterable[str]) -> bool:
        """Whether it has a figure of each of the metrics, or failed and needs none."""
        return self.failure is not None or set(metrics) <= set(self.figures)

    def value(self, metric: str) -> float:
        """The number of a metric."""
        return self.figures[metric].value
