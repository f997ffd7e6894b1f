"""The nets of paths as columns of numbers: what a model of nets is fitted to and asked for."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qnn.eda.timing.nets import Nets
from qnn.eda.timing.paths import RoutedNet, RoutedPath
from qnn.eda.timing.pins import CHAINS, DIRECT, PinKind, entry, output
from qnn.eda.timing.sites import Columns, columns_beside, distances


@dataclass(frozen=True)
class Hops:
    """The nets of many paths, shape (nets,) each.

    Members
    -------
    path : number of the path
    dx, dy : columns and rows of slices
    direct : joined within a slice or a column
    """

    path: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    fan_out: np.ndarray
    source: np.ndarray
    sink: np.ndarray
    direct: np.ndarray
    ns: np.ndarray

    def of(self, which: np.ndarray) -> "Hops":
        """Those that a mask chooses."""
        return Hops(**{name: column[which] for name, column in vars(self).items()})

    def estimate(self, nets: Nets) -> np.ndarray:
        """What each takes by ``nets``, as one of its path's, in ns."""
        ways = self.dx, self.dy, self.fan_out, self.source, self.sink
        alone = nets.delay(*ways, self.direct)
        return alone * np.where(self.direct, 1.0, self.along(nets, alone))

    def along(self, nets: Nets, alone: np.ndarray) -> np.ndarray:
        """What ``nets.along`` gives for the path of each net."""
        totals = np.bincount(self.path, alone * ~self.direct)
        return nets.along(totals)[self.path]


def hops(paths: list[RoutedPath], columns: Mapping[str, Columns]) -> Hops:
    """The nets of all paths, one after the other.

    Parameters
    ----------
    columns : of each device, where its columns of other kinds than slices are
    """
    nets = [(n, net) for n, path in enumerate(paths) for net in path.nets]
    known = [columns.get(chip(path), {}) for path in paths]
    dx, dy = distances((net.begin, net.end, known[n]) for n, net in nets)
    ends = [_ends(net) for _, net in nets]
    return Hops(
        path=np.array([n for n, _ in nets]),
        dx=dx,
        dy=dy,
        fan_out=np.array([net.fan_out for _, net in nets]),
        source=np.array([source for source, _, _ in ends]),
        sink=np.array([sink for _, sink, _ in ends]),
        direct=np.array([direct for _, _, direct in ends]),
        ns=np.array([net.ns for _, net in nets]),
    )


def columns_of(paths: list[RoutedPath]) -> dict[str, dict[str, float]]:
    """Of each device, where its columns of other kinds than slices are, by what nets join."""
    chips = sorted({chip(path) for path in paths})
    return {
        name: columns_beside(
            (net.begin, net.end) for path in paths if chip(path) == name for net in path.nets
        )
        for name in chips
    }


def chip(path: RoutedPath) -> str:
    """The device of a path without its package."""
    return path.device.split("-")[0]


def _ends(net: RoutedNet) -> tuple[PinKind, PinKind, bool]:
    source, sink = output(net.source), entry(net.sink)
    pair = source.pin, sink.pin
    here = net.begin == net.end and pair in DIRECT
    # Of a LUT and a register, only those of one letter are joined in the slice.
    joined = here and (not DIRECT[pair] or source.letter == sink.letter)
    return *pair, joined or pair in CHAINS
