"""The longest paths between registers of a netlist, in LUTs and in bits of carry chain."""

import re
from collections import defaultdict
from dataclasses import dataclass

CARRY = re.compile(r"CARRY[48]")
LUT = re.compile(r"LUT\d|MUXF[789]|INV")


@dataclass(frozen=True)
class Path:
    """The most LUTs on any path, and the most bits of carry chain on any, maybe another."""

    luts: int
    carry_bits: int


def longest_path(netlist: dict, top: str) -> Path:
    """The longest paths through those cells of module ``top`` that are no register and no DSP.

    Raises
    ------
    ValueError
        The cells form a loop without a register.
    """
    drivers = _drivers(netlist["modules"][top])
    order = _order(drivers)
    luts, bits = defaultdict(int), defaultdict(int)
    for bit in order:
        sources, own = drivers[bit]
        luts[bit] = own + max((luts[source] for source, _ in sources), default=0)
        bits[bit] = max((bits[source] + carry for source, carry in sources), default=0)
    return Path(max(luts.values(), default=0), max(bits.values(), default=0))


def _drivers(module):
    """For each bit that a LUT or carry chain drives: its sources with bits of carry, its LUTs."""
    drivers = {}
    for cell in module["cells"].values():
        ports = cell["connections"]
        if LUT.fullmatch(cell["type"]):
            # A LUT depends on all its inputs, or synthesis would have left them out.
            inputs = [(bits[0], 0) for name, bits in ports.items() if name != "O"]
            drivers[ports["O"][0]] = (inputs, 1)
        elif CARRY.fullmatch(cell["type"]):
            _follow_carry(ports, drivers)
    return drivers


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
    # Sources without a driver here are registers, DSP blocks or ports, where paths begin.
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
