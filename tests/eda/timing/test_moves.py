"""What the placer does for the longest paths, step by step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.eda.timing.analysis import Analysis
from qnn.eda.timing.delays import Delays
from qnn.eda.timing.grid import Grid
from qnn.eda.timing.legality import faults
from qnn.eda.timing.links import Links
from qnn.eda.timing.netlist import read_netlist
from qnn.eda.timing.pack import Packing
from qnn.eda.timing.placement import CellPlacement
from qnn.eda.timing.placer import place_netlist
from qnn.eda.timing.pulls import Pulls
from qnn.eda.timing.standing import Standing
from qnn.eda.timing.timed import timed
from qnn.eda.timing.weights import ArcWeights
from tests.eda.timing.written import Written, design, drawn

GRID = Grid.load()


def steps(seed, size=60, passes=6, **options):
    """A netlist, what placed it, and all legal placements on the way with their longest paths."""
    netlist = read_netlist(drawn(seed, size), "top")
    delays, seen = Delays(timed(netlist), "-1"), []

    def timing(placement):
        found = Analysis(delays, placement)
        seen.append((placement, placement.copy(), float(found.need.max())))
        return found

    placed = place_netlist(netlist, timing=timing, rounds=4, passes=passes, **options)
    # Before, places of clusters are timed wherever they are.
    legal = [(copy, ns) for place, copy, ns in seen if place is placed.placement]
    last = float(Analysis(delays, placed.placement).need.max())
    return netlist, placed, [*legal, (placed.placement, last)]


@given(seed=st.integers(0, 1 << 32))
@settings(deadline=None, max_examples=5)
def test_each_pass_of_moves_is_legal_and_the_worst_path_no_longer_for_them(seed):
    netlist, placed, after = steps(seed)
    for placement, _ in after:
        assert len(faults(netlist, placement, GRID)) <= placed.packing.conflicts
    assert after[-1][1] <= after[0][1]


def test_moves_make_designs_faster():
    gains = []
    for seed in range(3):
        _, _, after = steps(seed, passes=18)
        gains.append(after[0][1] / after[-1][1])
    assert max(gains) > 1.02


def test_a_seed_moves_the_same_cells():
    one, other = (steps(5, size=40)[1].placement for _ in range(2))
    for name, values in vars(one).items():
        assert np.array_equal(values, getattr(other, name), equal_nan=True)


@given(seed=st.integers(0, 1 << 32))
@settings(deadline=None, max_examples=4)
def test_cells_stand_in_their_cluster_as_they_will_in_slices(seed):
    netlist, placed, _ = steps(seed, passes=0)
    clusters = Packing(Links(netlist)).clusters
    standing = Standing(netlist, clusters)
    for number, cluster in enumerate(clusters):
        members = cluster.members()
        assert (standing.owner[members] == number).all()
        if not cluster.loose:
            final = placed.placement.at[members]
            offset = standing.offset[members]
            assert np.allclose(final - final[0], offset - offset[0])


def line():
    """A register, two LUTs and a register, in columns of their own."""
    made = Written()
    clock, first, middle, last = made.bit(), made.bit(), made.bit(), made.bit()
    made.register("0", first, clock, name="begin")
    made.lut(0b10, first, out=middle, name="one")
    made.lut(0b10, middle, out=last, name="other")
    made.register(last, made.bit(), clock, name="end")
    netlist = read_netlist(design(top=made), "top")
    placement = CellPlacement.empty(netlist.cells)
    names = {netlist.cell_name(cell): cell for cell in range(netlist.cells)}
    placement.at[:] = 0
    for column, name in enumerate(("begin", "one", "other", "end")):
        placement.at[names[name]] = 40 + 10 * column, 30
    return netlist, placement, names


@given(
    name=st.sampled_from(["begin", "one", "other", "end"]),
    place=st.tuples(st.integers(36, 96), st.integers(0, 90)),
)
def test_the_longest_path_after_a_move_is_told_before_it(name, place):
    netlist, placement, names = line()
    delays, cell = Delays(timed(netlist), "-2"), names[name]
    pull = Pulls(Analysis(delays, placement)).of([cell])
    told = pull.longest(placement.at[cell].copy(), place)
    placement.at[cell] = place
    # Two cells at one place may be joined without a wire, which is not looked for.
    assert told >= Analysis(delays, placement).lateness().through.max() - 1e-9
    if not any((placement.at[other] == place).all() for other in names.values() if other != cell):
        assert told == pytest.approx(Analysis(delays, placement).lateness().through.max())


def test_a_cell_wants_to_be_in_the_middle_of_what_is_late():
    netlist, placement, names = line()
    analysis = Analysis(Delays(timed(netlist), "-2"), placement)
    pull = Pulls(analysis).of([names["one"]])
    low, high = sorted((placement.at[names["begin"], 0], placement.at[names["other"], 0]))
    assert low <= pull.middle[0] <= high
    assert pull.middle[1] == 30
    assert pull.cost(pull.middle) <= pull.cost(placement.at[names["one"]])


def test_arcs_pull_more_the_longer_they_are_late():
    netlist, _, _ = line()
    standing = Standing(netlist, Packing(Links(netlist)).clusters)
    delays = Delays(timed(netlist), "-2")
    weights = ArcWeights(netlist, standing, lambda now: Analysis(delays, now))
    places = np.array([[40.0 + 9 * n, 30] for n in range(standing.owner.max() + 1)])
    one, two = weights.update(places).weight.copy(), weights.update(places).weight.copy()
    assert len(one) > 0
    assert (two > one).all()
