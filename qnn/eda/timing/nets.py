"""How long a net takes: a model of distance, fan-out and pins, fitted on routed paths.

The sum of terms is a time in nanoseconds: one for each end's kind of pin, one for the distance, one
for the logarithm of the fan-out, and one for both at once. What a slice or a column joins without
the fabric's wires takes a constant. Nets of a path are slower or faster together: a router gives
long paths the straight ways, and of short paths it is those with slow nets that are among a
design's worst. ``fit_nets`` makes the numbers, and says by which paths.
"""

import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from qnn.eda.timing.cells import CellDelays
from qnn.eda.timing.pins import CHAINS, DIRECT, PinKind
from qnn.fields import typed

DATA = "nets.json"
KINDS = len(PinKind) + 1  # they count from 1


@dataclass(frozen=True)
class Curve:
    """A line through the origin that bends at each of ``knots`` and goes on beyond the last."""

    knots: tuple[float, ...]
    slopes: tuple[float, ...]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return segments(x, self.knots) @ np.array(self.slopes)


@dataclass(frozen=True)
class Effort:
    """By what nets of a path are slower: (their estimate in all / reference_ns) ** -exponent.

    Members
    -------
    least_ns, most_ns : what paths were fitted on; beyond them it stays
    """

    exponent: float
    reference_ns: float
    least_ns: float
    most_ns: float


@dataclass(frozen=True)
class Model:
    """The numbers of the model, in nanoseconds of speed grade -1.

    Members
    -------
    about, source, terms : what they are of, and under which terms
    column : rows of slices that a column is as far as
    columns : of devices, where columns of other kinds than slices are
    distance, loads : curves of rows, and of log2 of the fan-out
    spread : factor of log2 of the fan-out times the root of the distance
    begins, ends : by name of ``PinKind``
    direct : by names of two kinds, joined without the fabric
    floor : the least that a net through the fabric takes
    low, high : factors of the estimate between which 80 % of nets lie
    path_low, path_high : and between which 80 % of paths of other designs lie
    """

    about: str
    source: str
    terms: str
    constant: float
    column: float
    columns: dict[str, dict[str, float]]
    distance: Curve
    loads: Curve
    spread: float
    begins: dict[str, float]
    ends: dict[str, float]
    direct: dict[str, float]
    floor: float
    effort: Effort
    low: float
    high: float
    path_low: float
    path_high: float

    def to_fields(self) -> dict:
        """As JSON has it."""
        return asdict(self)


class Nets:
    """Delays of nets in a speed grade.

    Parameters
    ----------
    model : as fitted, in speed grade -1
    factor : times which it takes
    """

    def __init__(self, model: Model, factor: float = 1.0):
        self.model, self.factor = model, factor
        self._begins, self._ends = _table(model.begins), _table(model.ends)
        self._direct = np.full((KINDS, KINDS), np.nan)
        for names, ns in model.direct.items():
            begin, end = (PinKind[name] for name in names.split(" "))
            self._direct[begin, end] = ns

    @classmethod
    def load(cls, speed_grade: str) -> "Nets":
        """The model that this package holds, for '-1' or '-2'.

        No public table has nets of -2: they are taken to be faster than in -1 as cells are.
        """
        ratio = CellDelays.load(speed_grade).tables.ratio_of_2_to_1
        return cls(_model(), ratio if speed_grade == "-2" else 1.0)

    def delay(self, dx, dy, fan_out, source, sink, direct=None):
        """Times in ns that nets take alone, shape (nets,) or as broadcast; ``along`` has the rest.

        Parameters
        ----------
        dx, dy : columns and rows of slices between the ends, of any sign
        fan_out : loads of the net
        source, sink : kinds of pins, ``PinKind``
        direct : whether a slice joins the ends without the fabric; where it can, by default
        """
        dx, dy, fan_out, source, sink = np.broadcast_arrays(
            np.abs(dx), np.abs(dy), fan_out, source, sink
        )
        m = self.model
        rows = m.column * dx + dy
        # Doublings: a net of many loads is routed as a tree.
        loads = np.log2(np.maximum(fan_out, 1))
        through = m.constant + self._begins[source] + self._ends[sink]
        through = through + m.loads(loads) + self._way(rows, loads)
        through = np.maximum(through, m.floor)
        if direct is None:
            direct = can_be_direct(dx, dy, source, sink)
        joined = self.joined(source, sink, direct)
        return np.where(joined, self._direct[source, sink], through) * self.factor

    def way(self, rows: np.ndarray, loads: np.ndarray) -> np.ndarray:
        """(nets,) the part in ns of what nets take that hangs on their distance.

        Parameters
        ----------
        rows : from end to end, columns counted as rows
        loads : log2 of the fan-out
        """
        return self._way(rows, loads) * self.factor

    def _way(self, rows, loads):
        # Far apart and many at once: the tree has to go round.
        return self.model.distance(rows) + self.model.spread * loads * np.sqrt(rows)

    def joined(self, source, sink, direct) -> np.ndarray:
        """Which of the nets that a slice can join it does.

        Pairs of pins without a constant go through the fabric, whatever was asked.
        """
        return direct & ~np.isnan(self._direct[source, sink])

    def along(self, total_ns):
        """By what a path's nets through the fabric are slower, all of them together.

        Parameters
        ----------
        total_ns : the sum of their times by ``delay``, shape (paths,)
        """
        effort = self.model.effort
        in_grade_1 = np.clip(np.asarray(total_ns) / self.factor, effort.least_ns, effort.most_ns)
        return (in_grade_1 / effort.reference_ns) ** -effort.exponent


def can_be_direct(dx, dy, source, sink) -> np.ndarray:
    """Whether ends of these kinds at this distance may be joined without the fabric's wires."""
    here, chain = np.zeros((KINDS, KINDS), bool), np.zeros((KINDS, KINDS), bool)
    for begin, end in DIRECT:
        here[begin, end] = True
    for begin, end in CHAINS:
        chain[begin, end] = True
    # A column's chain ends at the next site or at a far one: that is its wires' own length.
    same = (np.asarray(dx) == 0) & (np.asarray(dy) == 0)
    return chain[source, sink] | (here[source, sink] & same)


def segments(x: np.ndarray, knots: tuple[float, ...]) -> np.ndarray:
    """How far ``x`` goes into each stretch between 0 and the knots, shape (..., knots + 1)."""
    begins = np.array((0.0, *knots))
    ends = np.array((*knots, np.inf))
    return np.clip(np.asarray(x, float)[..., None] - begins, 0, ends - begins)


def _table(values):
    table = np.zeros(KINDS)
    for name, ns in values.items():
        table[PinKind[name]] = ns
    return table


@cache
def _model() -> Model:
    return typed(Model, json.loads(files(__package__).joinpath("data", DATA).read_text()))
