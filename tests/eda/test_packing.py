"""Drawings that fit a slice, and for each rule one that does not."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.spec.config import CONFIGS
from qnn.eda.packing import misfits, whole_conflicts
from qnn.eda.slices import RULES, share_controls

# Nets of an adder of three numbers and two carries, of two bits and the carry above them.
CARRIES, TERMS = (2, 3), ((10, 11, 12), (13, 14, 15))
CLOCK, ENABLE = 4, 5
LOW_CARRY, HIGH_CARRY, LOW_DATA = 20, 21, 22
SELECT, SUMS, CARRIED = (30, 31, 32), (40, 41, 42), (50, 51, 52)


def lut(inputs, output, group=None):
    return {
        "type": f"LUT{len(inputs)}",
        "attributes": {"HLUTNM": group} if group else {},
        "connections": {**{f"I{n}": [bit] for n, bit in enumerate(inputs)}, "O": [output]},
    }


def carry(carry_in, select, data, sums, carries):
    """A CARRY8 of as many places as there are bits; what is above them is open."""
    open_ = [range(first + len(sums), first + 8) for first in (900, 910)]
    above = ["0"] * (8 - len(select))
    ports = {"S": [*select, *above], "DI": [*data, *above]}
    ports |= {"O": [*sums, *open_[0]], "CO": [*carries, *open_[1]]}
    return {"type": "CARRY8", "connections": {"CI": [carry_in], "CI_TOP": ["0"], **ports}}


def register(data, output, *, enable="1", reset="0", kind="FDRE"):
    pin = {"FDRE": "R", "FDSE": "S", "FDCE": "CLR"}[kind]
    ports = {"C": [CLOCK], "CE": [enable], pin: [reset], "D": [data], "Q": [output]}
    return {"type": kind, "connections": ports}


def adder():
    """As ``hw.adders.ripple`` draws it: the lowest addend and its own carry at O5 of two LUTs."""
    low, high = TERMS
    return {
        "low": lut([*low, CARRIES[1]], SELECT[0], "0"),
        "low data": lut(low, LOW_DATA, "0"),
        "high": lut([*high, LOW_CARRY], SELECT[1], "1"),
        "high carry": lut(high, HIGH_CARRY, "1"),
        "top": lut([HIGH_CARRY], SELECT[2], "2"),
        "low carry": lut(low, LOW_CARRY, "2"),
        "chain": carry(CARRIES[0], SELECT, (LOW_DATA, LOW_CARRY, HIGH_CARRY), SUMS, CARRIED),
        **{f"sum {n}": register(bit, 60 + n) for n, bit in enumerate((*SUMS, CARRIED[2]))},
    }


def choice():
    """Sixteen to one: four LUTs, two MUXF7 and a MUXF8, whose choice goes into a register."""
    cells = {f"lut {n}": lut(range(100 + 6 * n, 106 + 6 * n), 200 + n) for n in range(4)}
    for name, kind, ports in (
        ("near", "MUXF7", (200, 201, 220, 210)),
        ("far", "MUXF7", (202, 203, 220, 211)),
        ("last", "MUXF8", (210, 211, 221, 212)),
    ):
        bits = zip(("I0", "I1", "S", "O"), ports, strict=True)
        cells[name] = {"type": kind, "connections": {port: [bit] for port, bit in bits}}
    return cells | {"chosen": register(212, 230, reset=231)}


def found(cells):
    return {misfit.rule for misfit in misfits({"modules": {"top": {"cells": cells}}})}


@pytest.mark.parametrize("drawing", [adder, choice])
def test_what_is_drawn_well_fits(drawing):
    assert not found(drawing())


def ports(cells, name):
    return cells[name]["connections"]


def as_it_was_drawn(cells):
    """Both carries by the lowest bypass input, and the lowest bits' carry out of their own LUT."""
    del cells["low carry"]
    ports(cells, "low data")["O"] = [LOW_CARRY]
    ports(cells, "chain")["DI"][0] = CARRIES[1]


def two_carries_by_the_middle(cells):
    ports(cells, "chain")["CI_TOP"] = [CARRIES[1]]


def a_carry_for_two(cells):
    ports(cells, "chain")["CO"][7] = 99
    for n, first in enumerate((300, 340)):
        sums = range(first, first + 3)
        cells[f"above {n}"] = carry(99, ["0"] * 3, ["0"] * 3, sums, range(first + 20, first + 23))


def a_sixth_input(cells):
    cells["low"] = lut([*TERMS[0], CARRIES[1], 98], SELECT[0], "0")
    cells["low data"] = lut([*TERMS[0], 97], LOW_DATA, "0")


def a_third_function(cells):
    cells["third"] = lut(TERMS[0], 96, "0")


def a_pin_without_use(cells):
    # O5 is I0, and O6 is I0 ^ I1.
    table = format(0xAAAAAAAA | 0x66666666 << 32, "064b")
    inputs = {f"I{n}": [bit] for n, bit in enumerate((10, 11, "0", "0", "0", "1"))}
    outputs = {"O5": [LOW_CARRY], "O6": [95]}
    cells["low carry"] = {
        "type": "LUT6_2",
        "parameters": {"INIT": table},
        "connections": inputs | outputs,
    }


def a_select_without_a_lut(cells):
    del cells["top"]
    ports(cells, "chain")["S"][2] = HIGH_CARRY


def a_constant_select(cells):
    ports(cells, "chain")["S"][2] = "0"


def a_select_of_two_places(cells):
    ports(cells, "chain")["S"][2] = SELECT[1]


def a_choice_of_no_choice(cells):
    ports(cells, "last")["I0"] = [201]


def a_choice_with_two_uses(cells):
    cells["again"] = {"type": "MUXF8", "connections": {**ports(cells, "last"), "O": [213]}}


def a_sum_that_leaves(cells):
    # O5 of this place leaves, too.
    cells["reads"] = lut([SUMS[1]], 94)


def a_carry_that_leaves(cells):
    ports(cells, "sum 3")["D"] = [SUMS[2]]
    cells["reads"] = lut([CARRIED[2]], 94)
    cells["reads, too"] = lut([SUMS[2]], 93)


def a_third_register(cells):
    cells["more"], cells["most"] = register(SUMS[1], 92), register(SUMS[1], 91)


def a_reset_of_its_own(cells):
    cells["sum 1"] = register(SUMS[1], 61, reset=90)


def an_edge_of_its_own(cells):
    cells["sum 1"]["parameters"] = {"IS_C_INVERTED": "1"}


def a_reset_that_waits_for_no_clock(cells):
    cells["sum 1"] = register(SUMS[1], 61, kind="FDCE")


def three_enables(cells):
    for n in range(3):
        # The bits that O5 leaves beside must end in a register of the place.
        cells[f"sum {n}"] = register(SUMS[n], 60 + n, enable=80 + n)
    cells["sum 3"] = register(CARRIED[2], 63, enable=83)


WRONG = {
    as_it_was_drawn: "bypass",
    two_carries_by_the_middle: "carry",
    a_carry_for_two: "carry",
    a_sixth_input: "pair",
    a_third_function: "pair",
    a_pin_without_use: "pins",
    a_select_without_a_lut: "select",
    a_constant_select: "select",
    a_select_of_two_places: "select",
    a_sum_that_leaves: "leave",
    a_carry_that_leaves: "leave",
    a_third_register: "registers",
    a_reset_of_its_own: "control",
    an_edge_of_its_own: "control",
    a_reset_that_waits_for_no_clock: "control",
    three_enables: "control",
    a_choice_of_no_choice: "muxes",
    a_choice_with_two_uses: "muxes",
}


@pytest.mark.parametrize("change", WRONG, ids=lambda change: change.__name__)
def test_what_a_slice_lacks_is_found(change):
    cells = choice() if WRONG[change] == "muxes" else adder()
    change(cells)
    assert WRONG[change] in found(cells)


def test_every_rule_has_a_drawing_that_breaks_it():
    assert set(WRONG.values()) == set(RULES)


def test_a_misfit_says_where_it_is_and_what_the_rule_is():
    cells = adder()
    as_it_was_drawn(cells)
    (only,) = misfits({"modules": {"top": {"cells": cells}}})
    assert str(only) == (
        "top, chain: place 0 needs nets 2, 3 by its bypass input (bypass: " + RULES["bypass"] + ")"
    )


# One or two registers a place, each with a reset and an enable of few.
PLACES = st.lists(
    st.lists(st.tuples(st.sampled_from("01"), st.sampled_from("123")), max_size=2),
    min_size=4,
    max_size=4,
)


@given(PLACES)
def test_registers_share_controls_if_some_order_of_each_place_lets_them(places):
    cells = [[register(1, 2, reset=r, enable=e) for r, e in place] for place in places]

    def fits(slots):
        firsts, seconds = ([e for e in column if e] for column in zip(*slots, strict=True))
        return len({e for _, e in firsts}) <= 1 and len({e for _, e in seconds}) <= 1

    orders = product(*(set(permutations([*place, None, None][:2])) for place in places))
    resets = {reset for place in places for reset, _ in place}
    assert share_controls(cells) == (len(resets) <= 1 and any(map(fits, orders)))


@pytest.mark.rtl
def test_every_cell_of_an_accelerator_has_room_in_its_slice():
    drawn_badly, conflicts, cells = whole_conflicts(CONFIGS["test"])
    assert (drawn_badly, conflicts) == ([], 0)
    assert cells > 10_000
