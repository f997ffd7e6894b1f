import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.eda.timing.grid import Grid
from qnn.eda.timing.legality import faults
from qnn.eda.timing.links import Links
from qnn.eda.timing.netlist import read_netlist
from qnn.eda.timing.pack import Packing
from qnn.eda.timing.placer import place_netlist
from qnn.eda.timing.quadratic import spread
from qnn.errors import ToolError
from tests.eda.timing.written import Written, design, drawn

GRID = Grid.load()


def placed(written, fill=0.75, **options):
    netlist = read_netlist(written, "top")
    return netlist, place_netlist(netlist, fill=fill, rounds=4, **options)


@given(seed=st.integers(0, 1 << 32), size=st.integers(1, 60))
@settings(deadline=None, max_examples=15)
def test_every_netlist_is_placed_legally(seed, size):
    netlist, found = placed(drawn(seed, size))
    assert len(faults(netlist, found.placement, GRID)) <= found.packing.conflicts


@given(seed=st.integers(0, 1 << 32))
@settings(deadline=None, max_examples=10)
def test_each_cell_is_in_one_cluster(seed):
    netlist = read_netlist(drawn(seed, 60), "top")
    members = [cell for cluster in Packing(Links(netlist)).clusters for cell in cluster.members()]
    assert sorted(members) == list(range(netlist.cells))


def test_a_seed_gives_the_same_places():
    (_, one), (_, same), (_, other) = (placed(drawn(3, 40), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.placement.at, same.placement.at, equal_nan=True)
    assert not np.array_equal(one.placement.at, other.placement.at, equal_nan=True)


def legal():
    netlist, found = placed(drawn(11, 60))
    assert faults(netlist, found.placement, GRID) == []
    return netlist, found.placement


def cells(netlist, kind):
    return [cell for cell in range(netlist.cells) if netlist.kind_of(cell).startswith(kind)]


def _two_luts(netlist, placement):
    one, other = cells(netlist, "LUT6")[:2]
    placement.at[one], placement.lane[one] = placement.at[other], placement.lane[other]


def _two_registers(netlist, placement):
    one, other = cells(netlist, "FD")[:2]
    placement.at[one], placement.lane[one] = placement.at[other], placement.lane[other]
    placement.second[one] = placement.second[other]


def _chain(netlist, placement):
    placement.at[cells(netlist, "CARRY8"), 1] += np.arange(len(cells(netlist, "CARRY8")))


def _shift(netlist, placement):
    placement.at[cells(netlist, "SRL")[0], 0] = 41


def _block(netlist, placement):
    placement.at[cells(netlist, "RAMB18")[0]] += 1


def _processor(netlist, placement):
    placement.at[cells(netlist, "LUT")[0]] = 3, 7


def _nowhere(netlist, placement):
    placement.at[cells(netlist, "MUXF8")[0]] = np.nan


def _lane(netlist, placement):
    placement.lane[cells(netlist, "MUXF7")[0]] += 1


def _select(netlist, placement):
    """A LUT that a carry chain has its select from leaves it."""
    pins = np.flatnonzero(~netlist.pin_out)
    names = [netlist.ports[port] for port in netlist.pin_port[pins]]
    pin = next(p for p, name in zip(pins, names, strict=True) if name == "S[0]")
    chain = netlist.pin_cell[pin]
    other = next(
        cell
        for cell in cells(netlist, "LUT")
        if tuple(placement.at[cell]) != tuple(placement.at[chain])
    )
    driver = netlist.pin_cell[netlist.driver[netlist.pin_net[pin]]]
    for values in (placement.at, placement.lane):
        values[[driver, other]] = values[[other, driver]]


FAULTS = {
    _two_luts: "shares its LUT",
    _two_registers: "shares its place",
    _chain: "is not right above",
    _shift: "whose LUTs are no memory",
    _block: "where there is no site",
    _processor: "where there is no slice",
    _nowhere: "has no place",
    _lane: "cannot leave at lane",
    _select: "needs the LUT of lane",
}


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
def test_a_place_that_is_not_legal_is_found(spoil):
    netlist, placement = legal()
    spoil(netlist, placement)
    assert any(FAULTS[spoil] in text for text in faults(netlist, placement, GRID))


def control_sets(count, **same):
    """So many flip-flops at lanes of their own in one slice, whose controls may differ."""
    made, clock = Written(), 1000
    for n in range(count):
        pins = {name: "0" if name == "reset" else "1" for name in ("enable", "reset")}
        pins |= {name: 100 + n for name, one in same.items() if not one}
        made.register(10 + n, 50 + n, clock, **pins)
    netlist = read_netlist(design(top=made), "top")
    found = place_netlist(netlist, rounds=1).placement
    found.at[:] = 60, 30
    found.lane[:], found.second[:] = np.arange(count), True
    return faults(netlist, found, GRID)


def test_a_half_of_a_slice_has_one_reset_and_its_registers_one_enable():
    assert control_sets(4, enable=True, reset=True) == []
    assert any("resets" in text for text in control_sets(4, reset=False))
    assert any("enables" in text for text in control_sets(4, enable=False))


def test_two_functions_of_six_inputs_do_not_share_a_lut():
    made = Written()
    for start in (10, 13):
        made.lut(1 << 31, *range(start, start + 5), out=100 + start)
    netlist = read_netlist(design(top=made), "top")
    found = place_netlist(netlist, rounds=1).placement
    found.at[:], found.lane[:], found.second[:] = (60, 30), 0, (False, True)
    assert any("have 8 inputs" in text for text in faults(netlist, found, GRID))


def test_a_design_that_is_too_large_is_refused():
    made = Written()
    for n in range(30):
        made.cell("RAMB36E2", ADDRARDADDR=[10 + n], DOUTADOUT=[100 + n])
    small = dataclasses.replace(GRID, block=((50.0,), 4))
    with pytest.raises(ToolError, match="needs 30 block memories, but the device has room for 4"):
        small.region(10, 30, 0)
    assert len(cells(placed(design(top=made))[0], "RAMB36")) == 30


@given(
    places=st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=40, max_size=200),
    data=st.data(),
)
@settings(max_examples=20)
def test_what_is_spread_fills_a_rectangle_evenly(places, data):
    at = np.array(places) + np.arange(len(places))[:, None] * 1e-6
    area = np.ones((len(at), 2))
    found = spread(at, area, (10, 20, 25, 35))
    assert (found >= [9.5, 19.5]).all()
    assert (found <= [25.5, 35.5]).all()
    # No quarter has more than a cluster or two over its share.
    left, low = found[:, 0] < 17.5, found[:, 1] < 27.5
    for side in (left & low, left & ~low, ~left & low, ~left & ~low):
        assert abs(side.sum() - len(at) / 4) <= 2


def test_the_grid_has_as_many_sites_as_the_data_sheet_says():
    assert len(GRID.slices) == 34_260
    assert (len(GRID.sites("block")), len(GRID.sites("dsp"))) == (912, 2520)
    memories = GRID.is_memory(GRID.slices[:, 0]).sum() * 8
    assert abs(memories - 144_000) < 0.05 * 144_000
