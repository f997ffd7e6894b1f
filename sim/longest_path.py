"""The longest path between registers of a netlist, in LUTs and bits of carry chain."""

import re
from collections import defaultdict
from dataclasses import dataclass

OUTPUTS = ("O", "O5", "O6", "CO", "Q", "P", "PCOUT", "Q31")
CARRY = re.compile(r"CARRY[48]")
LUT = re.compile(r"LUT\d(_2)?|MUXF[789]")
LUT_BITS = 24  # bits of carry chain that take about as long as a LUT with its wire


@dataclass(frozen=True, order=True)
class Path:
    """A path's length; without a timing model, a LUT stands for ``LUT_BITS`` bits of carry."""

    weight: int
    luts: int
    carry_bits: int

    def plus(self, luts: int, carry_bits: int) -> "Path":
        """One cell longer."""
        weight = self.weight + LUT_BITS * luts + carry_bits
        return Path(weight, self.luts + luts, self.carry_bits + carry_bits)


START = Path(0, 0, 0)


def longest_path(netlist: dict, top: str) -> Path:
    """The longest path through the cells of module ``top`` that are neither register nor DSP.

    Raises
    ------
    ValueError
        The cells form a loop without a register.
    """
    drivers, depths = _drivers(netlist["modules"][top]), {}
    order = _order(drivers)
    longest = START
    for bit in order:
        sources, luts = drivers[bit]
        arrivals = (depths.get(b, START).plus(luts, carry) for b, carry in sources)
        depths[bit] = max(arrivals, default=START.plus(luts, 0))
        longest = max(longest, depths[bit])
    return longest


def _drivers(module):
    """For each bit that a LUT or carry chain drives: its sources with bits of carry, its LUTs."""
    drivers = {}
    for cell in module["cells"].values():
        ports = cell["connections"]
        if LUT.fullmatch(cell["type"]):
            for name in OUTPUTS:
                for bit in ports.get(name, ()):
                    drivers[bit] = ([(b, 0) for b in _inputs(cell, name)], 1)
        elif CARRY.fullmatch(cell["type"]):
            _follow_carry(ports, drivers)
    return drivers


def _inputs(cell, output):
    """The bits that an output depends on: a LUT of two functions has two sets of them."""
    ports = cell["connections"]
    inputs = {name: bits[0] for name, bits in ports.items() if name not in OUTPUTS}
    if cell["type"] != "LUT6_2":
        return list(inputs.values())
    table, half = int(cell["parameters"]["INIT"], 2), 1 << 32
    table = table % half if output == "O5" else table // half
    return [inputs[f"I{n}"] for n in range(5) if _depends(table, n)]


def _depends(table, place):
    """Whether a truth table of five inputs depends on one."""
    return any(
        (table >> number & 1) != (table >> (number | 1 << place) & 1) for number in range(32)
    )


def _follow_carry(ports, drivers):
    below = [(bit, 0) for name in ("CI", "CYINIT") for bit in ports.get(name, ())]
    for n, select in enumerate(ports["S"]):
        here = [(select, 1), (ports["DI"][n], 1)]
        if n < len(ports.get("O", ())):
            drivers[ports["O"][n]] = ([(select, 0), *below], 0)
        below = [(bit, carry + 1) for bit, carry in below] + here
        if n < len(ports.get("CO", ())):
            drivers[ports["CO"][n]] = (list(below), 0)


def _order(drivers):
    """Bits, each after those that it comes from."""
    waiting = {bit: {b for b, _ in s if b in drivers} for bit, (s, _) in drivers.items()}
    users = defaultdict(list)
    for bit, sources in waiting.items():
        for source in sources:
            users[source].append(bit)
    ready, order = [bit for bit, sources in waiting.items() if not sources], []
    while ready:
        bit = ready.pop()
        order.append(bit)
        for user in users[bit]:
            waiting[user].discard(bit)
            if not waiting[user]:
                ready.append(user)
    if len(order) < len(drivers):
        raise ValueError("a netlist needs a register in every loop, but its cells form one without")
    return order
