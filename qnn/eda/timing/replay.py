"""How far the model of nets is off on routed paths: cells as reported, nets as estimated."""

import re
from dataclasses import dataclass

import numpy as np

from qnn.eda.timing.hops import hops
from qnn.eda.timing.nets import Nets
from qnn.eda.timing.paths import RoutedPath
from qnn.errors import ArgumentError

# The grade whose nets those of a grade are taken to be as fast as. At 0.72 V, which LV says, -2 has
# about the delays of -1; -3 is known to be faster than -2, and not by how much.
TAKEN_AS = ((r"-1.*", "-1"), (r"-2LV.*", "-1"), (r"-[23].*", "-2"))


@dataclass(frozen=True)
class PathErrors:
    """Relative errors of path delays, (estimate - reported) / reported.

    Members
    -------
    median, p90 : of their absolute values
    mean : of all with their signs
    within : share of the paths whose reported delay lies in the interval for paths
    net_ns : mean absolute error of a net through the fabric
    net_share : what nets are of the reported delays
    """

    paths: int
    median: float
    p90: float
    mean: float
    within: float
    net_ns: float
    net_share: float


@dataclass(frozen=True)
class Replay:
    """Errors over all paths of a file, and over those of each device in a speed grade."""

    all: PathErrors
    devices: dict[str, PathErrors]

    def to_fields(self) -> dict:
        """As JSON has it."""
        return _fields(self.all) | {
            "devices": {name: _fields(errors) for name, errors in self.devices.items()}
        }


def replay(paths: list[RoutedPath]) -> Replay:
    """Estimate the nets of ``paths``, each in its speed grade.

    Raises
    ------
    ArgumentError
        A path is of a speed grade that is none of UltraScale+.
    """
    grades = {speed: grade(speed) for speed in {path.speed for path in paths}}
    nets = {name: Nets.load(name) for name in set(grades.values())}
    model = next(iter(nets.values())).model
    found = hops(paths, model.columns)
    estimate = np.zeros(len(found.ns))
    own = np.array([grades[path.speed] for path in paths])[found.path]
    for name, of_grade in nets.items():
        here = own == name
        estimate[here] = found.of(here).estimate(of_grade)
    truth = np.array([path.ns for path in paths])
    difference = estimate - found.ns
    off = np.bincount(found.path, difference, len(paths))
    signed, whole = off / truth, truth + off
    within = (truth >= model.path_low * whole) & (truth <= model.path_high * whole)
    names = np.array([f"{path.device} {path.speed}" for path in paths])
    nets_ns = np.bincount(found.path, found.ns, len(paths))

    def errors(which):
        through = which[found.path] & ~found.direct
        return PathErrors(
            paths=int(which.sum()),
            median=float(np.median(np.abs(signed[which]))),
            p90=float(np.quantile(np.abs(signed[which]), 0.9)),
            mean=float(np.mean(signed[which])),
            within=float(np.mean(within[which])),
            # A path may stay in one column of carries.
            net_ns=float(np.mean(np.abs(difference[through]))) if through.any() else 0.0,
            net_share=float(nets_ns[which].sum() / truth[which].sum()),
        )

    each = {str(name): errors(names == name) for name in np.unique(names)}
    return Replay(errors(np.ones(len(paths), bool)), each)


def grade(speed: str) -> str:
    """The speed grade that the nets of a device of ``speed`` are taken to be of."""
    for pattern, name in TAKEN_AS:
        if re.fullmatch(pattern, speed):
            return name
    raise ArgumentError(
        f"a path needs a speed grade of UltraScale+, as -1 or -2LV, not '{speed}'; correct the file"
    )


def _fields(errors: PathErrors) -> dict:
    return {
        "paths": errors.paths,
        "median_error": errors.median,
        "p90_error": errors.p90,
        "mean_signed_error": errors.mean,
        "within_interval": errors.within,
        "net_error_ns": errors.net_ns,
        "net_share": errors.net_share,
    }
