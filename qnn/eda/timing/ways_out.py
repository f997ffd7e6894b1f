"""Sums and carries that leave a slice at the same place, where it has one way out for both.

Whoever draws a chain minds that; Yosys, which infers chains, reads a carry wherever it equals some
other signal. A LUT then tells the carry from the sum: it is S ? ~O : DI.
"""

from collections import defaultdict
from collections.abc import Mapping

REGISTERS = ("FDRE", "FDSE", "FDCE", "FDPE")
INIT = "00111010"  # of inputs DI, O, S, from the lowest on: S ? ~O : DI


def with_ways_out(cells: Mapping, module: Mapping) -> dict:
    """The cells, with a LUT for each carry that would leave together with its sum."""
    readers = _readers(cells, module)
    made, new = dict(cells), 1 + max(_numbers(cells), default=1)
    for name, cell in cells.items():
        if cell["type"] != "CARRY8":
            continue
        links = cell["connections"]
        for n, (total, carry) in enumerate(zip(links["O"], links["CO"], strict=True)):
            if not all(_leaves(readers.get(bit, ()), cells) for bit in (total, carry)):
                continue
            # The carry of the chain itself gets a net of its own, and goes to the slice above.
            _replace(made, name, "CO", n, new)
            for above, pin in readers[carry]:
                if pin == "CI" and cells[above]["type"] == "CARRY8":
                    _replace(made, above, "CI", 0, new)
            pins = {"I0": links["DI"][n], "I1": total, "I2": links["S"][n], "O": carry}
            made[f"{name}/carry {n}"] = {
                "type": "LUT3",
                "attributes": {},
                "parameters": {"INIT": INIT},
                "connections": {pin: [bit] for pin, bit in pins.items()},
            }
            new += 1
    return made


def _readers(cells, module):
    """By net, the cells and pins that it goes to, outputs and ports included."""
    found = defaultdict(list)
    for name, cell in cells.items():
        for pin, bits in cell["connections"].items():
            if cell["type"] != "CARRY8" or pin not in ("O", "CO"):
                for bit in bits:
                    found[bit].append((name, pin))
    for name, port in module["ports"].items():
        for bit in port["bits"]:
            found[bit].append((None, name))
    # Constants, and outputs that nothing reads, are no nets.
    return {bit: pins for bit, pins in found.items() if isinstance(bit, int)}


def _leaves(readers, cells):
    """Whether a net has readers besides a register of its place and the chain above."""
    kinds = [(cells[name]["type"] if name else "", pin) for name, pin in readers]
    others = [reader for reader in kinds if reader != ("CARRY8", "CI")]
    held = len(others) == 1 and others[0][0] in REGISTERS and others[0][1] == "D"
    return bool(others) and not held


def _numbers(cells):
    """The nets of all pins."""
    pins = (bits for cell in cells.values() for bits in cell["connections"].values())
    return (bit for bits in pins for bit in bits if isinstance(bit, int))


def _replace(cells, name, pin, n, bit):
    links = cells[name]["connections"]
    bits = [*links[pin][:n], bit, *links[pin][n + 1 :]]
    cells[name] = {**cells[name], "connections": {**links, pin: bits}}
