"""Nets of a netlist by their loads: one with many takes long, however few LUTs are on its path."""

import re
from collections import Counter

from qnn.eda.timing.kinds import is_clock, is_output

CLOCK_PORT = re.compile(r"clk|\w+_clk")  # of a submodule


def most_loads(netlist: dict, top: str) -> tuple[str, int]:
    """The name of the net of module ``top`` with the most loads beside clocks, and how many.

    A pin of a submodule counts as one load.
    """
    loads: Counter = Counter()
    for cell in netlist["modules"][top]["cells"].values():
        ports = netlist["modules"].get(cell["type"], {}).get("ports", {})
        for pin, bits in cell["connections"].items():
            if _loads(ports, pin):
                loads.update(bit for bit in bits if isinstance(bit, int))
    bit, count = max(loads.items(), key=lambda item: item[1], default=(None, 0))
    return _name(netlist["modules"][top], bit), count


def _loads(ports, pin):
    """Whether a pin is an input for data: of a submodule by its ports, of a cell by its name."""
    if ports:
        return ports[pin]["direction"] == "input" and not CLOCK_PORT.fullmatch(pin)
    return not is_output(pin) and not is_clock(pin)


def _name(module, bit):
    """The shortest name that somebody gave a net."""
    names = (
        (net.get("hide_name", 0), len(name), name)
        for name, net in module["netnames"].items()
        if bit in net["bits"]
    )
    return min(names, default=(0, 0, ""))[2]
