"""Nets of a netlist by their loads: one with many takes long, however few LUTs are on its path."""

import re
from collections import Counter

from qnn.eda.longest_path import OUTPUTS

CLOCKS = re.compile(r"C|W?CLK\w*|clk|\w*_clk")  # pins whose nets are the device's clock trees
MEMORY_OUTPUTS = re.compile(r"[SD]PO|DO\w*|DOUT\w*|CASDO\w*")


def most_loads(netlist: dict, top: str) -> tuple[str, int]:
    """The name of the net of module ``top`` with the most loads beside clocks, and how many.

    A pin of a submodule counts as one load.
    """
    loads: Counter = Counter()
    for cell in netlist["modules"][top]["cells"].values():
        ports = netlist["modules"].get(cell["type"], {}).get("ports", {})
        for pin, bits in cell["connections"].items():
            if not CLOCKS.fullmatch(pin) and not _drives(ports, pin):
                loads.update(bit for bit in bits if isinstance(bit, int))
    bit, count = max(loads.items(), key=lambda item: item[1], default=(None, 0))
    return _name(netlist["modules"][top], bit), count


def _drives(ports, pin):
    """Whether a pin is an output: of a submodule by its ports, of a cell by its name."""
    if ports:
        return ports[pin]["direction"] == "output"
    return pin in OUTPUTS or bool(MEMORY_OUTPUTS.fullmatch(pin))


def _name(module, bit):
    """The shortest name that somebody gave a net."""
    names = (
        (net.get("hide_name", 0), len(name), name)
        for name, net in module["netnames"].items()
        if bit in net["bits"]
    )
    return min(names, default=(0, 0, ""))[2]
