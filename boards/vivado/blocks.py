"""What the blocks of a design look like from outside: pins, bus interfaces, parameters.

Sources: PG247 (SmartConnect); for proc_sys_reset and xlconcat, what public block designs connect. A
module reference has what its Verilog says (UG994).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from boards.vivado.ports import ports


@dataclass(frozen=True)
class BlockPin:
    """A pin: ``kind`` is clock, reset, interrupt or data; ``active_low`` is of a reset."""

    kind: str
    output: bool = False
    active_low: bool = False
    needed: bool = False  # an input that must not be left open


@dataclass(frozen=True)
class Bus:
    """An AXI interface: ``clock`` is the pin that it runs at."""

    master: bool
    clock: str
    address_bits: int = 40
    segment: str | None = None  # of the registers or the memory behind it


@dataclass(frozen=True)
class Shape:
    """Pins and buses of a block."""

    pins: dict[str, BlockPin] = field(default_factory=dict)
    buses: dict[str, Bus] = field(default_factory=dict)


@dataclass(frozen=True)
class Block:
    """A kind of block: its parameters with their defaults, and its shape for their values."""

    parameters: Mapping[str, str]
    shape: Callable[[Mapping[str, str]], Shape]


SMARTCONNECT = "xilinx.com:ip:smartconnect"
CLOCK = BlockPin("clock", needed=True)
RESET_LOW = BlockPin("reset", active_low=True, needed=True)


def smartconnect(values: Mapping[str, str]) -> Shape:
    """NUM_SI slave interfaces and NUM_MI master interfaces at one clock."""
    # The interconnect has one clock here, so that all its ports belong to it.
    inputs = {f"S{n:02}_AXI": Bus(False, "aclk") for n in range(int(values["NUM_SI"]))}
    outputs = {f"M{n:02}_AXI": Bus(True, "aclk") for n in range(int(values["NUM_MI"]))}
    return Shape({"aclk": CLOCK, "aresetn": RESET_LOW}, inputs | outputs)


def proc_sys_reset(values: Mapping[str, str]) -> Shape:
    """Resets that leave with the clock; those whose names end in n are active low."""
    outputs = {
        "mb_reset": BlockPin("reset", True),
        "bus_struct_reset": BlockPin("reset", True),
        "peripheral_reset": BlockPin("reset", True),
        "interconnect_aresetn": BlockPin("reset", True, active_low=True),
        "peripheral_aresetn": BlockPin("reset", True, active_low=True),
    }
    inputs = {
        "slowest_sync_clk": CLOCK,
        "ext_reset_in": RESET_LOW,
        "aux_reset_in": BlockPin("reset", active_low=True),
        "mb_debug_sys_rst": BlockPin("reset"),
        # Left open, it counts as locked.
        "dcm_locked": BlockPin("data"),
    }
    return Shape(outputs | inputs)


def xlconcat(values: Mapping[str, str]) -> Shape:
    """Vivado's xlconcat: NUM_PORTS inputs side by side."""
    inputs = {f"In{n}": BlockPin("interrupt") for n in range(int(values["NUM_PORTS"]))}
    return Shape({**inputs, "dout": BlockPin("interrupt", True)})


BLOCKS = {
    SMARTCONNECT: Block(
        {"NUM_SI": "2", "NUM_MI": "1", "NUM_CLKS": "1", "HAS_ARESETN": "1"}, smartconnect
    ),
    "xilinx.com:ip:proc_sys_reset": Block({}, proc_sys_reset),
    "xilinx.com:ip:xlconcat": Block({"NUM_PORTS": "2"}, xlconcat),
}


def module_reference(verilog: str, module: str) -> Block:
    """The block that Vivado makes of a module with X_INTERFACE attributes."""
    pins, clock_of, widths, masters = {}, {}, {}, {}
    for port in ports(verilog, module):
        kind, name, logical = port.interface or ("", port.name, "")
        if kind.startswith("xilinx.com:interface:aximm:"):
            # The write address is in every bus, and its direction says who the manager is.
            if logical == "AWADDR":
                widths[name], masters[name] = port.width, port.direction == "output"
            continue
        pins[port.name] = _pin(kind, port)
        for bus in port.parameters.get("ASSOCIATED_BUSIF", "").split(":"):
            clock_of[bus] = port.name
    buses = {
        name: Bus(master, clock_of.get(name, ""), widths[name], None if master else f"{name}/reg0")
        for name, master in masters.items()
    }
    return Block({}, lambda values: Shape(pins, buses))


def _pin(kind, port):
    output = port.direction == "output"
    if kind.startswith("xilinx.com:signal:clock:"):
        return BlockPin("clock", output, needed=not output)
    if kind.startswith("xilinx.com:signal:reset:"):
        # Vivado takes a reset without a polarity as active low (UG994).
        low = port.parameters.get("POLARITY", "ACTIVE_LOW") == "ACTIVE_LOW"
        return BlockPin("reset", output, active_low=low, needed=not output)
    if kind.startswith("xilinx.com:signal:interrupt:"):
        return BlockPin("interrupt", output)
    return BlockPin("data", output)
