"""What a module computes before it is rewritten, and after."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn.eda.timing.links import Links
from qnn.eda.timing.netlist import read_netlist
from qnn.eda.timing.pack import Packing
from qnn.eda.timing.rewrite import rewritten
from tests.eda.timing.written import Written, design


def computed(module, values):
    """The value of every net of a module of LUTs, inverters and carry chains."""
    known = {"0": 0, "1": 1, "x": 0, **values}
    waiting = dict(module["cells"])
    while waiting:
        before = len(waiting)
        for name, cell in list(waiting.items()):
            outputs = {"O", "O5", "O6", "CO"} & cell["connections"].keys()
            inputs = [
                bit
                for pin, bits in cell["connections"].items()
                if pin not in outputs
                for bit in bits
            ]
            if all(bit in known for bit in inputs):
                known |= _cell(cell, known)
                del waiting[name]
        assert len(waiting) < before, f"a loop in {sorted(waiting)}"
    return known


def _cell(cell, known):
    links = cell["connections"]
    if cell["type"] == "INV":
        return {links["O"][0]: 1 - known[links["I"][0]]}
    if cell["type"].startswith("LUT"):
        table = int(cell["parameters"]["INIT"], 2)
        count = 6 if cell["type"] == "LUT6_2" else int(cell["type"][3])
        entry = sum(known[links[f"I{n}"][0]] << n for n in range(count))
        found = {links[pin][0]: table >> entry & 1 for pin in ("O", "O6") if pin in links}
        if "O5" in links:
            found[links["O5"][0]] = table >> (entry & 31) & 1
        return found
    carry = known[links["CI"][0]] or (known[links["CYINIT"][0]] if "CYINIT" in links else 0)
    found = {}
    for n, select in enumerate(links["S"]):
        found[links["O"][n]] = known[select] ^ carry
        carry = carry if known[select] else known[links["DI"][n]]
        found[links["CO"][n]] = carry
    return found


def check_same(made, free, **options):
    """Both modules agree in all nets that both have, for all values of the free ones."""
    before = made.module()
    after = rewritten(before, **options)
    for values in itertools.product((0, 1), repeat=len(free)):
        known = computed(before, dict(zip(free, values, strict=True)))
        found = computed(after, dict(zip(free, values, strict=True)))
        shared = {bit for bit in found if bit in known and isinstance(bit, int)}
        assert {bit: found[bit] for bit in shared} == {bit: known[bit] for bit in shared}
    return after


@pytest.mark.parametrize("unused", [False, True])
@given(table=st.integers(0, (1 << 64) - 1), data=st.data())
def test_two_luts_compute_what_one_of_two_functions_did(unused, table, data):
    made = Written()
    nets = [made.bit() for _ in range(4)]
    bits = [data.draw(st.sampled_from([*nets, "0", "1"])) for _ in range(5)]
    bits.append(data.draw(st.sampled_from(["1", nets[0]])))
    pins = {f"I{n}": bit for n, bit in enumerate(bits)}
    made.cell("LUT6_2", "both", {"INIT": f"{table:064b}"}, **pins, O5=made.bit(), O6=made.bit())
    after = check_same(made, nets, unused=unused)
    assert sorted(after["cells"]) == ["both/O5", "both/O6"]


def test_inputs_that_do_not_matter_are_left_out_or_kept():
    made = Written()
    pins = {f"I{n}": made.bit() for n in range(5)}
    # O5 is I0, O6 is I1, and neither reads the others.
    init = "".join(str(entry >> 1 & 1) for entry in reversed(range(32)))
    init += "".join(str(entry & 1) for entry in reversed(range(32)))
    made.cell("LUT6_2", "both", {"INIT": init}, **pins, I5="1", O5=made.bit(), O6=made.bit())
    short, long = (rewritten(made.module(), unused)["cells"] for unused in (False, True))
    assert {cell["type"] for cell in short.values()} == {"LUT1"}
    assert short["both/O6"]["connections"]["I0"] == [pins["I1"]]
    assert {cell["type"] for cell in long.values()} == {"LUT5"}


@given(table=st.integers(0, 255), inverted=st.lists(st.booleans(), min_size=3, max_size=3))
def test_luts_take_inverters_in(table, inverted):
    made = Written()
    nets, inputs = [made.bit() for _ in range(3)], []
    for net, one in zip(nets, inverted, strict=True):
        inputs.append(made.bit() if one else net)
        if one:
            made.cell("INV", I=net, O=inputs[-1])
    made.lut(table, *inputs, out=made.bit(), name="lut")
    after = check_same(made, nets)
    assert list(after["cells"]) == ["lut"]


def test_an_inverter_stays_for_what_is_no_lut():
    made = Written()
    net, other, clock = made.bit(), made.bit(), made.bit()
    made.cell("INV", "invert", I=net, O=other)
    made.lut(0b01, other, out=made.bit())
    made.register(other, made.bit(), clock)
    assert "invert" in rewritten(made.module())["cells"]


@pytest.mark.parametrize("halves", [1, 2, 3])
@pytest.mark.parametrize("start", ["CI", "CYINIT"])
def test_pairs_of_half_chains_are_whole_ones(halves, start):
    made = Written()
    nets = [made.bit() for _ in range(7)]
    carry = nets[6]
    for half in range(halves):
        begin = {"CI": "0", "CYINIT": "0"} | {("CI" if half else start): carry}
        outs = [made.bit() for _ in range(8)]
        # Few nets on many pins, in another order in each half.
        pins = [nets[(n + half) % 6] for n in range(8)]
        made.cell("CARRY4", None, None, **begin, S=pins[:4], DI=pins[4:], O=outs[:4], CO=outs[4:])
        carry = outs[7]
    after = check_same(made, nets)
    kinds = [cell["type"] for cell in after["cells"].values()]
    assert kinds == ["CARRY8"] * ((halves + 1) // 2)


PLACES = st.sets(st.integers(0, 7))


@given(sums=PLACES, carries=PLACES, data=st.data())
def test_a_carry_that_leaves_beside_its_sum_is_told_by_a_lut(sums, carries, data):
    made = Written()
    nets = [made.bit() for _ in range(5)]
    below, above = ([made.bit() for _ in range(16)] for _ in range(2))
    for carry, outs in ((nets[4], below), (below[15], above)):
        given_bits = st.lists(st.sampled_from([*nets, "0"]), min_size=8, max_size=8)
        pins = {"S": data.draw(given_bits), "DI": data.draw(given_bits)}
        pins |= {"O": outs[:8], "CO": outs[8:]}
        made.cell("CARRY8", None, None, CI=carry, CI_TOP="0", **pins)
    for bit in [*(below[n] for n in sums), *(below[8 + n] for n in carries)]:
        made.lut(0b01, bit, out=made.bit())
    made.port("carries", "output", [below[8 + n] for n in carries])
    after = check_same(made, nets)["cells"].values()
    assert sum(cell["type"] == "LUT3" for cell in after) == len(sums & carries)


def test_sums_and_carries_in_registers_of_their_place_leave_together():
    made = Written()
    outs, clock = [made.bit() for _ in range(16)], made.bit()
    pins = {"S": ["0"] * 8, "DI": ["0"] * 8, "O": outs[:8], "CO": outs[8:]}
    made.cell("CARRY8", None, None, CI="1", CI_TOP="0", **pins)
    for bit in outs:
        made.register(bit, made.bit(), clock)
    assert rewritten(made.module())["cells"].keys() == made.cells.keys()


def test_a_counter_whose_carry_is_read_packs_without_conflict():
    made = Written()
    clock, inner = made.port("clk", "input", [made.bit()])[0], [made.bit() for _ in range(4)]
    outs = [made.bit() for _ in range(16)]
    pins = {"S": [*inner, *"0000"], "DI": ["1", *"0000000"], "O": outs[:8], "CO": outs[8:]}
    made.cell("CARRY8", None, None, CI="0", CI_TOP="0", **pins)
    for state, total in zip(inner, outs, strict=False):
        made.register(total, state, clock)
    told = made.bit()
    made.lut(0b0110, outs[1], outs[9], out=told)  # bit 1's own sum is read beside its register
    made.port("told", "output", [told])
    netlist = read_netlist(design(top=made), "top")
    assert Packing(Links(netlist)).conflicts == 0
