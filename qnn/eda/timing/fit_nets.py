"""The model of nets is fitted: ``python -m qnn.eda.timing.fit_nets PATHS`` writes its numbers.

PATHS are paths of routed designs, as ``paths`` reads them. Squares of the errors of nets are least,
so that errors of many in a path cancel. Form, knots and the constants here were chosen by
``cross_validate``: no design is in both parts.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from qnn.eda.timing.hops import Hops, columns_of, hops
from qnn.eda.timing.nets import Curve, Effort, Model, Nets, segments
from qnn.eda.timing.paths import RoutedPath, read_paths
from qnn.eda.timing.pins import PinKind
from qnn.files import write_whole

ABOUT = "delays of nets on UltraScale+, speed grade -1, slow corner, as a model of distance"
SOURCE = (
    "fitted on paths of routed designs that Vivado 2019.1 reported for xczu3eg: "
    "cucapra/calyx-evaluation @ 676b30bc, pldi_results/**/main_timing_summary_routed.rpt"
)
TERMS = "reports of a public repository; numbers"
COLUMN = 2.5  # from 2 to 3 errors are about the same; at 1 and 5 they are a tenth greater
DISTANCE_KNOTS = (3.0, 12.0, 48.0)
LOAD_KNOTS = (1.0, 3.0, 5.0, 7.0)
EXPONENT, REFERENCE_NS = 0.25, 3.0
EFFORT_RANGE = (0.02, 0.98)  # of paths: beyond it nothing was fitted
ROUNDS = 3  # of fitting nets and what their paths add in turn; more change nothing
RIDGE = 3.0  # nets that a kind of pin needs before it moves half the way from the mean
LEAST_QUANTILE = 0.01  # of nets through the fabric: none is estimated below it
# Blocks whose pins no path of the data has begin nets as registers do, and end them as a DSP block
# does: they too stand beside the wires of one column.
BEGIN_LIKE = {"BLOCK_RAM": "FF_Q", "DSP": "FF_Q"}
END_LIKE = {"BLOCK_RAM": "DSP", "CARRY_S": "CARRY_DI", "MUX_IN": "LUT"}
# What no path has is as near as another pair: both outputs of a LUT to the carry, multiplexer and
# carry to the register, cascades of block RAM as those of DSP blocks.
DIRECT_LIKE = {
    "LUT_O5 CARRY_DI": "LUT_O6 CARRY_S",
    "MUX_OUT FF_D": "CARRY_OUT FF_D",
    "CASCADE BLOCK_RAM": "CASCADE DSP",
}
INTERVAL = (0.1, 0.9)
PLACES = 5  # of the numbers that are written


@dataclass(frozen=True)
class Errors:
    """Relative errors of path delays, (estimate - truth) / truth.

    Members
    -------
    signed : of each path, in the paths' order
    of_nets : mean absolute error of a net through the fabric, in ns
    """

    signed: np.ndarray
    of_nets: float

    @property
    def median(self) -> float:
        """Of the absolute values."""
        return float(np.median(np.abs(self.signed)))

    @property
    def p90(self) -> float:
        """The value that nine in ten absolute values are at most."""
        return float(np.quantile(np.abs(self.signed), 0.9))


def design(path: RoutedPath) -> str:
    """The kernel that a path is of, whatever the run: variants of it are one design."""
    # A run's folder holds a kernel of PolyBench or of the compiler's own tests.
    parts = path.report.split("/")
    known = [part for part in parts if re.match(r"linear-algebra|dot-product|gemm", part)]
    if not known:
        return "systolic" if "systolic" in path.report else parts[0]
    return known[0]


def cross_validate(paths: list[RoutedPath], group: Callable[[RoutedPath], str] = design) -> Errors:
    """Errors on each design of a model that was fitted on all others."""
    names = np.array([group(path) for path in paths])
    signed, nets = np.zeros(len(paths)), []
    for name in np.unique(names):
        own = [path for path, other in zip(paths, names, strict=True) if other == name]
        others = [path for path, other in zip(paths, names, strict=True) if other != name]
        signed[names == name], of_nets = errors_of(own, Nets(fit(others)))
        nets.append(of_nets)
    # All designs together: each path was judged once, by a model that had not seen it.
    return Errors(signed, float(np.mean(np.abs(np.concatenate(nets)))))


def errors_of(paths: list[RoutedPath], nets: Nets) -> tuple[np.ndarray, np.ndarray]:
    """Relative errors of path delays, shape (paths,), and errors in ns of nets in the fabric."""
    found = hops(paths, nets.model.columns)
    of_nets = found.estimate(nets) - found.ns
    truth = np.array([path.ns for path in paths])
    signed = np.bincount(found.path, of_nets, len(paths)) / truth
    return signed, of_nets[~found.direct]


def fit(paths: list[RoutedPath]) -> Model:
    """The model whose errors on the nets of ``paths`` have the least sum of squares."""
    columns = columns_of(paths)
    all_nets = hops(paths, columns)
    through = all_nets.of(~all_nets.direct)
    weights = _weights(paths, through)
    along, model = np.ones(len(through.ns)), None
    for _ in range(ROUNDS):
        terms = _Terms(through)
        found = _least_squares(terms.matrix * along[:, None], through.ns, weights, terms.curves)
        model = terms.model(found, _direct(all_nets))
        model = replace(model, columns=columns, effort=_effort(model, through))
        alone = _alone(Nets(model), through)
        along = through.along(Nets(model), alone)
    return _with_interval(model, through)


class _Terms:
    """The model's terms for nets through the fabric, as columns of a linear problem."""

    def __init__(self, nets: Hops):
        self.nets = nets
        self.begins = [PinKind(pin) for pin in np.unique(nets.source)]
        self.ends = [PinKind(pin) for pin in np.unique(nets.sink)]
        loads = np.log2(nets.fan_out)
        rows = COLUMN * nets.dx + nets.dy
        curves = (
            segments(rows, DISTANCE_KNOTS),
            segments(loads, LOAD_KNOTS),
            (loads * np.sqrt(rows))[:, None],
        )
        kinds = (
            *(nets.source == pin for pin in self.begins),
            *(nets.sink == pin for pin in self.ends),
        )
        self.matrix = np.column_stack((np.ones(len(rows)), *curves, *kinds))
        self.curves = slice(1, 1 + sum(part.shape[1] for part in curves))

    def model(self, found, direct) -> Model:
        values = iter(_round(value) for value in found)
        return Model(
            about=ABOUT,
            source=SOURCE,
            terms=TERMS,
            constant=next(values),
            column=COLUMN,
            columns={},
            distance=Curve(DISTANCE_KNOTS, _take(values, len(DISTANCE_KNOTS) + 1)),
            loads=Curve(LOAD_KNOTS, _take(values, len(LOAD_KNOTS) + 1)),
            spread=next(values),
            begins=_with_like({pin.name: next(values) for pin in self.begins}, BEGIN_LIKE),
            ends=_with_like({pin.name: next(values) for pin in self.ends}, END_LIKE),
            direct=direct,
            floor=_round(np.quantile(self.nets.ns, LEAST_QUANTILE)),
            effort=Effort(EXPONENT, REFERENCE_NS, REFERENCE_NS, REFERENCE_NS),
            **dict.fromkeys(("low", "high", "path_low", "path_high"), 1.0),
        )


def _alone(nets, through):
    return nets.delay(through.dx, through.dy, through.fan_out, through.source, through.sink)


def _effort(model, through):
    totals = np.bincount(through.path, _alone(Nets(model), through))
    least, most = np.quantile(totals[totals > 0], EFFORT_RANGE)
    return replace(model.effort, least_ns=_round(least), most_ns=_round(most))


def _weights(paths, nets: Hops):
    """Less for nets that many paths of a report share, as its ten worst share most of theirs."""
    columns = nets.path, nets.dx, nets.dy, nets.fan_out, nets.source, nets.sink, nets.ns
    keys = [(paths[n].report, *values) for n, *values in zip(*columns, strict=True)]
    counts = Counter(keys)
    # The root: a net that is on all of them matters more than one that is on one.
    return np.array([counts[key] ** -0.5 for key in keys])


def _least_squares(matrix, ns, weights, curves: slice):
    """Coefficients; of ``curves`` none is below 0, as no net is faster for a longer way."""
    free = np.ones(matrix.shape[1], bool)
    while True:
        found = np.zeros(len(free))
        found[free] = _solve(matrix[:, free], ns, weights)
        worst = curves.start + int(np.argmin(found[curves]))
        if found[worst] >= 0:
            return found
        free[worst] = False


def _solve(matrix, ns, weights):
    # Kinds of pins that few nets have stay near the others, as the penalty pulls them there.
    weighted = matrix * weights[:, None]
    penalty = np.full(matrix.shape[1], RIDGE)
    penalty[0] = 0
    return np.linalg.solve(matrix.T @ weighted + np.diag(penalty), weighted.T @ ns)


def _take(values, number):
    return tuple(next(values) for _ in range(number))


def _round(value) -> float:
    return float(round(value, PLACES))


def _with_like(known, like):
    """Also kinds that no path has: as those that they are taken to be like."""
    lacking = {name: known[other] for name, other in like.items() if other in known}
    return lacking | known


def _direct(nets: Hops) -> dict[str, float]:
    joined = nets.of(nets.direct)
    pairs = sorted(set(zip(joined.source.tolist(), joined.sink.tolist(), strict=True)))
    found = {}
    for begin, end in pairs:
        these = joined.ns[(joined.source == begin) & (joined.sink == end)]
        found[f"{PinKind(begin).name} {PinKind(end).name}"] = _round(np.median(these))
    return _with_like(found, DIRECT_LIKE)


def _with_interval(model: Model, nets: Hops) -> Model:
    low, high = np.quantile(nets.ns / nets.estimate(Nets(model)), INTERVAL)
    return replace(model, low=_round(low), high=_round(high))


def main(arguments: list[str]) -> None:
    """Fit on the paths of the file that is named, and write the model beside this module."""
    (file,) = arguments
    paths = [path for path in read_paths(Path(file)) if path.speed == "-1"]
    errors = cross_validate(paths)
    low, high = np.quantile(1 / (1 + errors.signed), INTERVAL)
    model = replace(fit(paths), path_low=_round(low), path_high=_round(high))
    target = Path(__file__).parent / "data" / "nets.json"
    write_whole(target, json.dumps(model.to_fields(), indent=1) + "\n")
    print(
        f"{len(paths)} paths; of designs that it was not fitted on: median error "
        f"{errors.median:.4f}, 90th percentile {errors.p90:.4f}, "
        f"mean {np.mean(errors.signed):+.4f}; of a net {errors.of_nets:.4f} ns"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
