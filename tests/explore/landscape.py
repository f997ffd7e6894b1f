"""A space whose designs are evaluated by formulas, so that searches take no time."""

from math import exp

from qnn.explore.choices import USUAL
from qnn.explore.evaluation import Evaluated, Fidelity, Figure, Mark
from qnn.explore.goals import Goals, constraints_in
from qnn.explore.groups import grouped
from qnn.explore.point import Point
from qnn.explore.profile import Anchor, Profile
from qnn.explore.space import Space, Vector, make_space
from qnn.explore.state import SearchState

LAYERS = {"a": (4.0, 10), "b": (2.0, 40), "c": (1.0, 80), "d": (0.3, 60), "e": (0.1, 100)}
PROFILE = Profile(
    losses={
        n: {str(k): loss / 12 ** (k - 1) for k in (1, 2, 3, 4)} for n, (loss, _) in LAYERS.items()
    },
    shares=dict.fromkeys(LAYERS, (1.0,)),
    floor=0.01,
    products={name: products for name, (_, products) in LAYERS.items()},
    anchors=(Anchor(0.06, 0.1, 0.05), Anchor(0.63, 1.0, 0.1), Anchor(7.41, 8.0, 0.2)),
    spread=0.2,
)
SIZES = {
    "lanes": (8, 16),
    "rows": (8, 16),
    "columns": (2, 4, 8),
    "epilogue_words": (1, 2),
    "neighbours": (0,),
    "feature_words": (2048,),
    "weight_words": (512,),
    "cores": (1, 2),
}


def space(constraints: str | None = None, **changes) -> Space:
    """Five groups of one layer, and some dozens of arrays."""
    values = {**USUAL, **SIZES, **changes}
    return make_space(grouped(PROFILE, 5), values, constraints_in(constraints))


def state(constraints: str | None = None, seed: int = 0, **changes) -> SearchState:
    """A search for accuracy, rate and LUTs that knows nothing yet."""
    goals = Goals(("accuracy", "fps", "lut"), constraints_in(constraints))
    return SearchState(space(constraints, **changes), goals, {(3, 8): PROFILE}, seed)


def judged(where: Space, vector: Vector) -> Evaluated:
    """Figures that differ from what is predicted as real ones do: smoothly, by some percent."""
    point = where.point(vector)
    return judged_point(where, point)


def judged_point(where: Space, point: Point) -> Evaluated:
    """As ``judged``, of a design."""
    vector = where.vector(point)
    assert vector is not None
    lost = PROFILE.lost(point.terms) * (1.2 if point.terms["a"] == 1 else 0.9)
    steps = sum(PROFILE.products[n] * k for n, k in point.terms.items())
    # Wide arrays are less busy, unless more words leave them at a time.
    width = point.array["columns"] / point.array["epilogue_words"]
    cycles = 1000 * steps / where.lanes(vector) * (1 + 0.1 * width)
    figures = {
        "lost": Figure.about(lost, 0.1, Mark.MEASURED),
        "accuracy": Figure.about(92 - lost, 0.1, Mark.ESTIMATED),
        "cycles": Figure.about(cycles, 0.0, Mark.SIMULATED),
        "fps": Figure.about(3e8 / cycles, 0.0, Mark.ESTIMATED),
        "energy": Figure.about(steps * (1 + exp(-width)), 0.0, Mark.ESTIMATED),
        **where.cells(vector),
    }
    return Evaluated(point, Fidelity.QUICK, figures)
