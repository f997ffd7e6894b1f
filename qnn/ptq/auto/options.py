"""What ``rounding="auto"`` and ``terms="auto"`` are asked for, and what they tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real

from qnn.ir.graph import Graph
from qnn.ptq.auto.activations import Activations
from qnn.ptq.auto.held_out import Loss
from qnn.quant.by_terms import Terms
from qnn.tasks.kinds import TaskKind
from qnn.tasks.lost import PERCENT, POINTS

# Of ResNet-20, for which five minutes are meant; larger networks get as many times more.
USUAL_PRODUCTS = 41e6
USUAL_SECONDS = 300.0
MOST_SECONDS = 3600.0


@dataclass(frozen=True)
class AutoResult:
    """What was chosen.

    Members
    -------
    terms : of each layer that learns, one number or one for each of its rows
    loss : of the design on images held out; where images were few, the network that is given was
        then fitted to these too, and should lose less
    target : that ``loss.lost`` should not exceed
    cost : of the layers, over that with one term everywhere
    losses : by layer and terms, what rounding each layer alone loses where those that read it take
        back what they can, if measured; of more than two terms, as much less as a term brings
    shares : by layer, what each of its rows has in its loss with one term, likewise
    activations : their bits, and what they alone lose
    """

    terms: Mapping[str, Terms]
    loss: Loss
    target: float
    cost: float
    losses: Mapping[str, Mapping[int, float]]
    shares: Mapping[str, Sequence[float]] = field(default_factory=dict)
    activations: Activations | None = None

    @property
    def reached(self) -> bool:
        """Whether no more is lost than was allowed."""
        return self.loss.lost <= self.target


@dataclass(frozen=True, kw_only=True)
class Auto:
    """How far a search may go.

    Members
    -------
    target : points of accuracy, or percent of squared error, that may be lost; None: 0.5 points,
        or 2 percent. Where outputs are of both, values may lose four percent for each point
    seconds : after which no further design is tried; None: 300, and more for networks of more
        products than ResNet-20
    costs : what each layer of an integer graph costs, in cycles say; None: its products times
        terms. Where it has ``rows`` too, as ``qnn.cycles_on`` has, that says of a graph how many
        output channels take their terms together
    report : is told each step in a line
    outcome : is told what was chosen
    """

    target: float | None = None
    seconds: float | None = None
    costs: Callable[[Graph], Mapping[str, float]] | None = None
    report: Callable[[str], None] = print
    outcome: Callable[[AutoResult], None] | None = None

    def __post_init__(self):
        for name in ("target", "seconds"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
                raise TypeError(f"quantize needs a number as {name}, not {value!r}")
        for name in ("costs", "report", "outcome"):
            value = getattr(self, name)
            if not callable(value) and (name == "report" or value is not None):
                raise TypeError(f"quantize needs a function as Auto's {name}, not {value!r}")
        # So written that no number, which compares with nothing, is refused too.
        if self.target is not None and not 0 < self.target <= 100:
            raise ValueError(f"quantize needs a target over 0, at most 100, not {self.target}")
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise ValueError(f"quantize needs seconds over 0, not {self.seconds}")

    def target_for(self, kinds: Sequence[TaskKind]) -> float:
        """What outputs of such tasks may lose."""
        if self.target is not None:
            return self.target
        return POINTS if any(kind.classifies for kind in kinds) else PERCENT

    def seconds_for(self, products: int) -> float:
        """The budget of a network of so many products."""
        if self.seconds is not None:
            return self.seconds
        return min(MOST_SECONDS, USUAL_SECONDS * max(1.0, products / USUAL_PRODUCTS))
