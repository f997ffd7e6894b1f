"""The model of nets is fitted: ``python -m qnn.eda.timing.fit_nets PATHS`` writes its numbers.

PATHS are paths of routed designs, as ``paths`` reads them. Squares of the errors of nets are least
when many of them are summed, as along a path. The form was chosen by ``cross_validate``: no design
is in both parts.
"""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qnn.eda.timing.hops import Hops, hops
from qnn.eda.timing.nets import Curve, Model, Nets, segments, to_fields
from qnn.eda.timing.paths import RoutedPath, read_paths
from qnn.eda.timing.pins import LUT_INPUTS, PinKind
from qnn.files import write_whole

ABOUT = "delays of nets on UltraScale+, speed grade -1, slow corner, as a model of distance"
SOURCE = (
    "fitted on paths of routed designs that Vivado 2019.1 reported for xczu3eg: "
    "cucapra/calyx-evaluation @ 676b30bc, pldi_results/**/main_timing_summary_routed.rpt"
)
TERMS = "reports of a public repository; numbers"
KNOTS = {"columns": (1.0, 3.0, 8.0, 20.0), "rows": (2.0, 6.0, 16.0, 40.0), "loads": (1, 3, 5, 7)}
RIDGE = 3.0  # nets that a kind of pin needs before it moves half the way from the mean
LEAST_QUANTILE = 0.01  # of nets through the fabric: none is estimated below it
# Blocks whose pins no path of the data has begin nets as registers do, and end them as a DSP block
# does: they too stand beside the wires of one column.
BEGIN_LIKE = {"BLOCK_RAM": ("FF_Q",), "DSP": ("FF_Q",)}
END_LIKE = {"BLOCK_RAM": ("DSP",), "CARRY_S": ("CARRY_DI",), "LUT": [p.name for p in LUT_INPUTS]}
# No path has a second output that is a carry's other operand; both outputs are as near to it.
# Cascades of block RAM are as those of DSP blocks.
DIRECT_LIKE = {"LUT_O5 CARRY_DI": ("LUT_O6 CARRY_S",), "BLOCK_RAM BLOCK_RAM": ("DSP DSP",)}
INTERVAL = (0.1, 0.9)


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
        return float(np.median(np.abs(self.signed)))

    @property
    def p90(self) -> float:
        return float(np.quantile(np.abs(self.signed), 0.9))


def design(path: RoutedPath) -> str:
    """The kernel that a path is of, whatever the run: variants of it are one design."""
    parts = path.report.split("/")
    # A run's folder holds a kernel of PolyBench or of the compiler's own tests.
    known = [part for part in parts if re.match(r"linear-algebra|dot-product|gemm", part)]
    if not known:
        return "systolic" if "systolic" in path.report else parts[0]
    return known[0]


def fit(paths: list[RoutedPath]) -> Model:
    """The model whose errors on the nets of ``paths`` have the least sum of squares."""
    all_nets = hops(paths)
    through = all_nets.of(~all_nets.direct)
    begins, ends = _used(through.source), _used(through.sink)
    matrix = _matrix(through, begins, ends)
    weights = _weights(paths, all_nets)[~all_nets.direct]
    curves = slice(1, matrix.shape[1] - len(begins) - len(ends))
    found = _least_squares(matrix, through.ns, weights, curves)
    model = _named(found, begins, ends, through, _direct(all_nets))
    return _with_interval(model, through)


def cross_validate(
    paths: list[RoutedPath],
    fitted: Callable[[list[RoutedPath]], Model] = fit,
    group: Callable[[RoutedPath], str] = design,
) -> Errors:
    """Errors on each design of a model that was fitted on all others."""
    names = np.array([group(path) for path in paths])
    signed, nets = np.zeros(len(paths)), []
    for name in np.unique(names):
        inside = names == name
        model = fitted([path for path, is_in in zip(paths, inside, strict=True) if not is_in])
        own = [path for path, is_in in zip(paths, inside, strict=True) if is_in]
        errors, of_nets = errors_of(own, Nets(model, 1.0))
        signed[inside] = errors
        nets.append(of_nets)
    # All designs together: each path was judged once, by a model that had not seen it.
    return Errors(signed, float(np.mean(np.abs(np.concatenate(nets)))))


def errors_of(paths: list[RoutedPath], nets: Nets) -> tuple[np.ndarray, np.ndarray]:
    """Relative errors of path delays, shape (paths,), and errors in ns of nets in the fabric."""
    found = hops(paths)
    _, middle, _ = found.ask(nets)
    of_nets = middle - found.ns
    truth = np.array([path.ns for path in paths])
    signed = np.bincount(found.path, of_nets, len(paths)) / truth
    return signed, of_nets[~found.direct]


def _used(pins):
    return [PinKind(pin) for pin in np.unique(pins)]


def _matrix(nets: Hops, begins, ends):
    loads = np.log2(nets.fan_out)
    return np.column_stack(
        (
            np.ones(len(nets.ns)),
            segments(nets.dx, KNOTS["columns"]),
            segments(nets.dy, KNOTS["rows"]),
            segments(loads, KNOTS["loads"]),
            loads * np.log1p(nets.dx + nets.dy),
            *(nets.source == pin for pin in begins),
            *(nets.sink == pin for pin in ends),
        )
    )


def _weights(paths, nets: Hops):
    """One for each net of a design: the ten worst paths of a report share most of theirs."""
    keys = [
        (paths[number].report, *values)
        for number, *values in zip(
            *(nets.path, nets.dx, nets.dy, nets.fan_out, nets.source, nets.sink, nets.ns),
            strict=True,
        )
    ]
    counts = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    return np.array([1 / counts[key] for key in keys])


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


def _named(found, begins, ends, nets, direct) -> Model:
    values = iter(float(round(value, 5)) for value in found)
    constant = next(values)
    curves = {
        name: Curve(tuple(knots), tuple(next(values) for _ in range(len(knots) + 1)))
        for name, knots in KNOTS.items()
    }
    return Model(
        about=ABOUT,
        source=SOURCE,
        terms=TERMS,
        constant=constant,
        **curves,
        spread=next(values),
        begins=_with_others({pin.name: next(values) for pin in begins}, BEGIN_LIKE),
        ends=_with_others({pin.name: next(values) for pin in ends}, END_LIKE),
        direct=direct,
        floor=float(round(np.quantile(nets.ns, LEAST_QUANTILE), 5)),
        low=1.0,
        high=1.0,
        path_low=1.0,
        path_high=1.0,
    )


def _with_others(known, like):
    """Also pins that no path ends at: the mean of those that they are taken to be like."""
    found = dict(known)
    for name, others in like.items():
        values = [known[other] for other in others if other in known]
        if name not in known and values:
            found[name] = float(round(np.mean(values), 5))
    return found


def _direct(nets: Hops) -> dict[str, float]:
    joined = nets.of(nets.direct)
    pairs = sorted(set(zip(joined.source.tolist(), joined.sink.tolist(), strict=True)))
    found = {
        f"{PinKind(a).name} {PinKind(b).name}": float(
            np.median(joined.ns[(joined.source == a) & (joined.sink == b)])
        )
        for a, b in pairs
    }
    return _with_others(found, DIRECT_LIKE)


def _with_interval(model: Model, nets: Hops) -> Model:
    _, middle, _ = nets.ask(Nets(model, 1.0))
    low, high = np.quantile(nets.ns / middle, INTERVAL)
    return Model(**vars(model) | {"low": float(round(low, 3)), "high": float(round(high, 3))})


def main(arguments: list[str]) -> None:
    """Fit on the paths of the file that is named, and write the model beside this module."""
    (file,) = arguments
    paths = [path for path in read_paths(Path(file)) if path.speed == "-1"]
    errors = cross_validate(paths)
    low, high = 1 / (1 + np.quantile(errors.signed, INTERVAL[::-1]))
    ends = {"path_low": float(round(low, 3)), "path_high": float(round(high, 3))}
    model = Model(**vars(fit(paths)) | ends)
    target = Path(__file__).parent / "data" / "nets.json"
    write_whole(target, json.dumps(to_fields(model), indent=1) + "\n")
    print(
        f"{len(paths)} paths; of designs that it was not fitted on: median error "
        f"{errors.median:.4f}, 90th percentile {errors.p90:.4f}, "
        f"mean {np.mean(errors.signed):+.4f}; of a net {errors.of_nets:.4f} ns"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
