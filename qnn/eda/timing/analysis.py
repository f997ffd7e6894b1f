"""Static timing analysis: the longest paths of a placed netlist, and the clock that they allow.

The clock's interval: the middle estimate takes each net as the model expects it. At the low end
every path is as long as only one in ten routed paths is against its estimate, and at the high end
as short as one in ten is: of paths that the model was not fitted on, four in five lay between.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from qnn.eda.timing.delays import Delays
from qnn.eda.timing.kinds import FLIP_FLOP
from qnn.eda.timing.placement import CellPlacement

# Of a clock from the processor, in the reports of whole designs; 0.035 in those of modules alone.
UNCERTAINTY_NS = 0.122
WORST = 20  # paths that are told
LOADED = 10  # nets that are told
ENDS_IN_MEAN = 500  # of paths, some 0.5 % of a core's
NEAR_NS = 0.05  # by which one of two ways to a pin is later for an e-th of what hangs on them
BINS = 24  # of the histogram of slack


@dataclass(frozen=True)
class Hop:
    """A step of a path: through a cell, or along a net to the next one.

    Members
    -------
    name : of the signal behind a cell, or of the net; empty if synthesis made it
    kind : of the cell, with its pins; ``net`` of a net
    fan_out : of a net, else 0
    distance : slices between the ends of a net, columns and rows together
    """

    kind: str
    name: str
    ns: float
    fan_out: int = 0
    distance: float = 0.0


@dataclass(frozen=True)
class TimedPath:
    """The longest path between two words.

    Members
    -------
    begin, end : the names of the first and last register, with the pin of the last
    levels : LUTs, carry chains and multiplexers that it goes through
    ns : from edge to edge, set-up and the clock's uncertainty included
    cells_ns, nets_ns, setup_ns : its parts; the rest is uncertainty
    alike : further ends of the same words, whose own longest paths are no longer
    """

    begin: str
    end: str
    levels: int
    ns: float
    cells_ns: float
    nets_ns: float
    setup_ns: float
    alike: int
    hops: tuple[Hop, ...]


@dataclass(frozen=True)
class Loaded:
    """A net of many readers."""

    name: str
    fan_out: int
    worst_ns: float


@dataclass(frozen=True)
class TimingResult:
    """What the analysis says of a netlist; all of it is estimated.

    Members
    -------
    clock_mhz : with every net as the model expects it
    clock_mhz_low, clock_mhz_high : the interval that this module's docstring defines
    slack : for the period of ``clock_mhz_low``: bounds in ns, and ends of paths between them
    nets : those of the most readers
    counts : cells of the netlist, slices that they need, and what a slice could not give
    """

    device: str
    speed_grade: str
    clock_mhz: float
    clock_mhz_low: float
    clock_mhz_high: float
    paths: tuple[TimedPath, ...]
    slack: tuple[tuple[float, ...], tuple[int, ...]]
    nets: tuple[Loaded, ...]
    counts: dict[str, int]

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        bounds, ends = self.slack
        return {
            **asdict(self),
            "estimated": "all of it: delays by tables and a model, places by a placer of our own",
            "uncertainty_ns": UNCERTAINTY_NS,
            "slack": {"bounds_ns": list(bounds), "ends": list(ends)},
        }


@dataclass(frozen=True, eq=False)
class Lateness:
    """How late the pins of a placement are, and the whole.

    Members
    -------
    through : (pins,) ns of the longest path through each, by itself; 0 where there is none
    worst_ns : what the latest end needs
    mean_ns : what the latest ends need in the mean
    """

    through: np.ndarray
    worst_ns: float
    mean_ns: float

    @cached_property
    def critical(self) -> np.ndarray:
        """(pins,) 1 on the longest path, less where time is left."""
        return self.through / max(float(self.through.max(initial=0)), 1e-9)

    def improves(self, other: "Lateness") -> bool:
        """Whether the worst path is no longer, and it or the late ones are shorter."""
        both, others = (self.worst_ns, self.mean_ns), (other.worst_ns, other.mean_ns)
        return both[0] <= others[0] and sum(both) < sum(others)


class Analysis:
    """Times a netlist in one placement.

    Parameters
    ----------
    delays : of its arcs
    placement : of its cells

    Members
    -------
    nets : the model of nets
    clocked : (pins,) whether paths begin or end there
    need : (ends,) ns that the longest path to each end takes, set-up and uncertainty included
    """

    def __init__(self, delays: Delays, placement: CellPlacement):
        self._delays, self._timed = delays, delays.timed
        self.netlist = delays.timed.netlist
        self.placement, self.nets = placement, delays.nets
        self._wires, fabric = delays.wires(placement)
        self._latest = delays.longest(self._wires)
        self._all = np.concatenate([delays.cell, self._wires])
        self._fabric = np.concatenate([np.zeros(len(delays.cell)), fabric])
        through = self._timed.graph.along(self._latest, self._all, self._fabric)
        through = through[self._timed.ends]
        self._effort = delays.nets.along(through)
        # Nets of a path are slower or faster together, by how much of it is in the fabric.
        # What is late at an end: its arrival, set-up and the clock's uncertainty.
        self._data = self._latest[self._timed.ends] + (self._effort - 1) * through
        self.clocked = np.zeros(self._timed.graph.pins, bool)
        self.clocked[self._timed.starts] = self.clocked[self._timed.ends] = True
        self.need = self._data + delays.setup + UNCERTAINTY_NS
        # Ends that no clocked cell reaches, as behind a constant, have all the time there is.
        self.need[~np.isfinite(self.need)] = 0

    def timing(self, device: str, speed_grade: str, counts: dict[str, int]) -> TimingResult:
        """The clock, the worst paths, the slack and the most loaded nets."""
        model = self._delays.nets.model
        period = float(self.need.max(initial=UNCERTAINTY_NS))
        # The factors are of paths: what the clock and the register ask for beside them is known.
        timed = self.need > 0
        some = {
            factor: (self.need + (factor - 1) * self._data)[timed]
            for factor in (model.path_low, model.path_high)
        }
        low, high = (float(need.max(initial=UNCERTAINTY_NS)) for need in some.values())
        slack = high - some[model.path_high]
        counted, bounds = np.histogram(slack, BINS)
        return TimingResult(
            device, speed_grade, 1e3 / period, 1e3 / high, 1e3 / low,
            tuple(self.worst(WORST)),
            (tuple(map(float, bounds)), tuple(map(int, counted))),
            tuple(self._loaded()),
            counts,
        )  # fmt: skip

    def lateness(self) -> Lateness:
        """How late each pin is, and the worst ends."""
        ends = np.full(self._timed.graph.pins, -np.inf)
        ends[self._timed.ends] = self._delays.setup
        whole = self._latest + self._timed.graph.reverse.longest(self._all, ends)
        whole[~np.isfinite(whole)] = 0
        late = np.sort(self.need)[-ENDS_IN_MEAN:]
        return Lateness(
            whole,
            float(late.max(initial=0)),
            float(late.mean() if len(late) else 0),
        )

    def share(self, weight: np.ndarray) -> np.ndarray:
        """(pins,) how much ends are late by each pin, if by all that leads to one as its weight.

        Parameters
        ----------
        weight : (ends,)
        """
        leaving = np.zeros(self._timed.graph.pins)
        leaving[self._timed.ends] = weight
        return self._timed.graph.flow(self._latest, self._all, leaving, NEAR_NS)

    def worst(self, count: int) -> Iterator[TimedPath]:
        """The longest path of each pair of words, from the longest on."""
        groups: dict[tuple[str, str], list] = {}
        ends = self._timed.ends
        # From the latest end on, until there are paths enough: a core has 100,000 ends.
        for n in np.argsort(-self.need, kind="stable"):
            if self.need[n] == 0 or len(groups) > count:
                break
            arcs = self._timed.graph.path(self._latest, self._all, int(ends[n]))
            begin = self._begin_name(int(self._timed.graph.start[arcs[0]]))
            end = self._end_name(int(ends[n]))
            groups.setdefault((_word(begin), _word(end)), []).append((int(n), arcs, begin, end))
        for found in list(groups.values())[:count]:
            n, arcs, begin, end = found[0]
            yield self._path(n, arcs, begin, end, len(found) - 1)

    def _path(self, n, arcs, begin, end, alike):
        graph, cells = self._timed.graph, self._timed.cell_arcs
        start = graph.start[arcs[0]]
        first, effort = self._delays.begin[start], float(self._effort[n])
        # A path is told from the register on, whose clock to output is its first hop.
        hops = [Hop(self._kind(start), begin, float(first))]
        for arc in arcs:
            hops.append(self._cell_hop(arc) if arc < cells else self._net_hop(arc, effort))
        through = [float(self._all[arc]) for arc in arcs if arc < cells]
        wires = [self._net_ns(arc, effort) for arc in arcs if arc >= cells]
        return TimedPath(
            begin, end, len(through), float(self.need[n]), float(first) + sum(through), sum(wires),
            float(self._delays.setup[n]), alike, tuple(hops),
        )  # fmt: skip

    def _cell_hop(self, arc):
        start, end = self._timed.graph.start[arc], self._timed.graph.end[arc]
        ports = self.netlist.ports, self.netlist.pin_port
        pins = f"{ports[0][ports[1][start]]} to {ports[0][ports[1][end]]}"
        return Hop(f"{self._kind(end)} {pins}", self.netlist.pin_name(end), float(self._all[arc]))

    def _net_ns(self, arc, effort):
        return float(self._all[arc] + (effort - 1) * self._fabric[arc])

    def _net_hop(self, arc, effort):
        start, end = self._timed.graph.start[arc], self._timed.graph.end[arc]
        at = self.placement.at[self.netlist.pin_cell[[start, end]]]
        fan_out = int(self.netlist.fan_out[self.netlist.pin_net[start]])
        distance = float(np.abs(at[0] - at[1]).sum())
        name, ns = self.netlist.pin_name(start), self._net_ns(arc, effort)
        return Hop("net", name, ns, fan_out, distance)

    def _kind(self, pin):
        return self.netlist.kind_of(self.netlist.pin_cell[pin])

    def _begin_name(self, pin):
        return self.netlist.pin_name(pin) or self.netlist.cell_name(self.netlist.pin_cell[pin])

    def _end_name(self, pin):
        """The name of what a register holds, and the pin at which the path ends."""
        netlist, cell = self.netlist, int(self.netlist.pin_cell[pin])
        name = netlist.cell_name(cell)
        if FLIP_FLOP.fullmatch(netlist.kind_of(cell)):
            span = range(netlist.first_pin[cell], netlist.first_pin[cell + 1])
            name = next((netlist.pin_name(p) for p in span if netlist.pin_out[p]), "") or name
        return f"{name} {netlist.ports[netlist.pin_port[pin]]}"

    def _loaded(self):
        netlist = self.netlist
        source = netlist.pin_net[self._timed.graph.start[self._timed.cell_arcs :]]
        worst = np.zeros(netlist.nets)
        np.maximum.at(worst, source, self._wires)
        timed = np.flatnonzero(worst > 0)
        for net in timed[np.argsort(-netlist.fan_out[timed], kind="stable")][:LOADED]:
            driver = int(netlist.driver[net])
            yield Loaded(self._begin_name(driver), int(netlist.fan_out[net]), float(worst[net]))


def _word(name):
    """A name without the numbers that copies and bits of a word differ by."""
    return re.sub(r"\[\d+\]|\$\d+|_\d+|:\d+", "", name)
