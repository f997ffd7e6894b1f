"""The nets of paths as columns of numbers: what a model of nets is fitted to and asked for."""

from dataclasses import dataclass

import numpy as np

from qnn.eda.timing.paths import RoutedNet, RoutedPath
from qnn.eda.timing.pins import CHAINS, DIRECT, LUT_INPUTS, PinKind, entry, output
from qnn.eda.timing.sites import distances

# What a LUT takes from A1 to A6, and from A1 to A5 at its second output, in ns of grade -1: a
# report names inputs of the cell, and the router chose another input of the LUT for it.
FROM_PIN_O6 = (0.178, 0.149, 0.115, 0.100, 0.064, 0.039)
FROM_PIN_O5 = (0.198, 0.168, 0.137, 0.121, 0.083)


@dataclass(frozen=True)
class Hops:
    """The nets of many paths, shape (nets,) each.

    Members
    -------
    path : number of the path
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

    def ask(self, nets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Times by ``nets``, low, middle and high."""
        return nets.delay(self.dx, self.dy, self.fan_out, self.source, self.sink, self.direct)


def hops(paths: list[RoutedPath]) -> Hops:
    """The nets of all paths, one after the other."""
    nets = [(n, net) for n, path in enumerate(paths) for net in path.nets]
    dx, dy = distances([net.begin for _, net in nets], [net.end for _, net in nets])
    ends = [_ends(net) for _, net in nets]
    return Hops(
        path=np.array([n for n, _ in nets]),
        dx=np.abs(dx),
        dy=np.abs(dy),
        fan_out=np.array([net.fan_out for _, net in nets]),
        source=np.array([source for source, _, _ in ends]),
        sink=np.array([sink for _, sink, _ in ends]),
        direct=np.array([direct for _, _, direct in ends]),
        ns=np.array([net.ns for _, net in nets]),
    )


def _ends(net: RoutedNet) -> tuple[PinKind, PinKind, bool]:
    source, sink = output(net.source), entry(net.sink)
    pair = source.pin, sink.pin
    here = net.begin == net.end and pair in DIRECT
    joined = here and (not DIRECT[pair] or source.letter == sink.letter)
    # Also between the parts of one DSP block, which reports print as cells.
    chained = pair in CHAINS
    return source.pin, lut_input(net) or sink.pin, joined or chained


def lut_input(net: RoutedNet) -> PinKind | None:
    """The input of the device's LUT that a net ends at, by what the LUT takes; none elsewhere."""
    if entry(net.sink).pin is not PinKind.LUT:
        return None
    times = FROM_PIN_O5 if "5LUT" in net.sink else FROM_PIN_O6
    # Inputs lie at least 13 ps apart, and sites and letters differ by 6 ps at most.
    return LUT_INPUTS[int(np.argmin([abs(net.sink_ns - ns) for ns in times]))]
