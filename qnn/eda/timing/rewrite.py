"""Rewrites of a module that the vendor's tool makes before it places.

Two CARRY4 become a CARRY8, of whose sums and carries no two need one way out, LUTs take in the
inverters before them, and a LUT of two functions becomes two LUTs, which may share a place in a
slice again.
"""

from collections import defaultdict
from collections.abc import Mapping

from qnn.eda.timing.kinds import depends
from qnn.eda.timing.ways_out import with_ways_out

HALF = 4  # bits of a CARRY4
PAIR = "HLUTNM"  # the attribute that two LUTs in one have in common


def rewritten(module: Mapping, unused: bool = False) -> dict:
    """The module with CARRY8 for CARRY4, and no inverters before LUTs and no LUT6_2.

    Parameters
    ----------
    unused : keep the inputs of a LUT6_2 on which a function does not depend
    """
    cells = with_ways_out(_with_whole_carries(module["cells"]), module)
    cells = _without_inverters(cells, module)
    cells = {
        part: made
        for name, cell in cells.items()
        for part, made in (
            _halves(name, cell, unused) if cell["type"] == "LUT6_2" else ((name, cell),)
        )
    }
    return {**module, "cells": cells}


def _with_whole_carries(cells):
    """Two CARRY4 of a chain are one CARRY8, the first of a chain its lower half."""
    halves = {name: cell for name, cell in cells.items() if cell["type"] == "CARRY4"}
    if not halves:
        return dict(cells)
    # The carry out of one half is the carry in of the one above it.
    ends = {cell["connections"]["CO"][-1]: name for name, cell in halves.items()}
    below = {
        name: ends[cell["connections"]["CI"][0]]
        for name, cell in halves.items()
        if cell["connections"]["CI"][0] in ends
    }
    above = {lower: upper for upper, lower in below.items()}
    made = {name: cell for name, cell in cells.items() if name not in halves}
    for name in halves:
        if name in below:
            continue
        while name is not None:
            lower, upper = name, above.get(name)
            made[lower] = _whole(halves[lower], halves.get(upper))
            name = above.get(upper)
    return made


def _whole(lower, upper):
    low = lower["connections"]
    high = upper["connections"] if upper else {}
    # Either the carry in from below, or the start of a chain, is in use.
    starts = [low.get("CI", ["0"])[0], low.get("CYINIT", ["0"])[0]]
    start = next((bit for bit in starts if bit != "0"), "0")
    vectors = {pin: list(low[pin]) + list(high.get(pin, ["0"] * HALF)) for pin in ("S", "DI")}
    outputs = {pin: list(low[pin]) + list(high.get(pin, ["x"] * HALF)) for pin in ("O", "CO")}
    return {
        **lower,
        "type": "CARRY8",
        "connections": {"CI": [start], "CI_TOP": ["0"], **vectors, **outputs},
    }


def _without_inverters(cells, module):
    """LUTs take in the inverters that drive them; an inverter stays for what else it drives."""
    inverters = {
        cell["connections"]["O"][0]: cell["connections"]["I"][0]
        for cell in cells.values()
        if cell["type"] == "INV"
    }
    if not inverters:
        return cells
    # How many pins and ports are left on each net once LUTs have taken inverters in.
    needed = defaultdict(int)
    for port in module["ports"].values():
        for bit in port["bits"]:
            needed[bit] += 1
    made = {}
    for name, cell in cells.items():
        if cell["type"].startswith("LUT"):
            made[name] = _taken_in(cell, inverters)
        else:
            made[name] = cell
        if cell["type"] != "INV":
            for bits in made[name]["connections"].values():
                for bit in bits:
                    needed[bit] += 1
    return {
        name: cell
        for name, cell in made.items()
        if cell["type"] != "INV" or needed[cell["connections"]["O"][0]]
    }


def _taken_in(cell, inverters):
    links, init = dict(cell["connections"]), cell["parameters"]["INIT"]
    changed = False
    for pin, (bit,) in links.items():
        if pin.startswith("I") and bit in inverters:
            links[pin], changed = [inverters[bit]], True
            init = _inverted(init, int(pin[1:]))
    if not changed:
        return cell
    return {**cell, "connections": links, "parameters": {**cell["parameters"], "INIT": init}}


def _inverted(init, place):
    """The truth table, highest entry first, with one input inverted."""
    last = len(init) - 1
    return "".join(init[last - ((last - n) ^ (1 << place))] for n in range(len(init)))


def _halves(name, cell, unused):
    """The one or two LUTs that a LUT of two functions is."""
    links, init = cell["connections"], cell["parameters"]["INIT"].replace("x", "0")
    high, low = init[:32], init[32:]
    if links["I5"][0] != "1":
        # O6 reads six inputs, and O5 the five lower ones.
        parts = (("O6", init, 6), ("O5", low, 5))
    else:
        parts = (("O6", high, 5), ("O5", low, 5))
    for output, table, count in parts:
        if output in links:
            made = _lut(name, cell, table, count, links[output], unused)
            yield f"{name}/{output}", made


def _lut(name, cell, table, count, output, unused):
    """A LUT of one function, without the inputs that are constant or, by choice, do not matter."""
    number, bits = int(table, 2), []
    # From the lowest input up; those that are kept move down to close the gaps.
    for place in range(count):
        (bit,) = cell["connections"][f"I{place}"]
        position = len(bits)
        if bit in ("0", "1", "x"):
            number = _fixed(number, count - place + position, position, bit == "1")
        elif not unused and not depends(number, count - place + position, position):
            number = _fixed(number, count - place + position, position, False)
        else:
            bits.append(bit)
    if not bits:
        # A constant stays a LUT, of an input that is one.
        bits, number = ["0"], number * 3
    size = 1 << len(bits)
    # They may share a LUT again, as do cells of one name in the vendor's tool (UG912).
    attributes = {**cell["attributes"], PAIR: name}
    pins = {f"I{n}": [bit] for n, bit in enumerate(bits)}
    return {
        **cell,
        "type": f"LUT{len(bits)}",
        "attributes": attributes,
        "parameters": {"INIT": f"{number:0{size}b}"},
        "connections": {**pins, "O": output},
    }


def _fixed(table, inputs, place, value):
    """The truth table over the other inputs, where the one at ``place`` has a value."""
    made = 0
    for entry in range(1 << (inputs - 1)):
        low = entry & ((1 << place) - 1)
        source = (entry - low) * 2 + low + (value << place)
        made |= (table >> source & 1) << entry
    return made
