"""Attributes that tell Vivado which ports of the top module are a bus, clock, reset or interrupt.

Source: AMD UG994 (2023.2), "List of Supported X_ Attributes" and "Inferring Control Signals in a
RTL Module". No frequency is given: UG994 needs it of output clocks alone, and what drives this
clock passes its own on, so that the same Verilog serves at any clock.
"""

import re

from hw.spec.timing import (
    FETCH_BURST_BEATS,
    MAX_BURST_BEATS,
    READS_OUTSTANDING,
    WRITES_OUTSTANDING,
)

BUS = "xilinx.com:interface:aximm:1.0"
# What an interconnect cannot see of the signals: how many bursts it has to remember, and that beats
# are as wide as the bus. The fetch reads beside the load engine, each under an id of its own.
BUSES: dict[str, dict[str, str | int]] = {  # port prefix: parameters
    "m_axi": {
        "PROTOCOL": "AXI4",
        "MAX_BURST_LENGTH": max(MAX_BURST_BEATS, FETCH_BURST_BEATS),
        "NUM_READ_OUTSTANDING": 2 * READS_OUTSTANDING,
        "NUM_READ_THREADS": 2,
        "NUM_WRITE_OUTSTANDING": WRITES_OUTSTANDING,
        "NUM_WRITE_THREADS": 1,
        "SUPPORTS_NARROW_BURST": 0,
    },
    "s_axi": {
        "PROTOCOL": "AXI4LITE",
        "MAX_BURST_LENGTH": 1,
        "NUM_READ_OUTSTANDING": 1,
        "NUM_WRITE_OUTSTANDING": 1,
        "SUPPORTS_NARROW_BURST": 0,
    },
}
SIGNALS = {  # port: kind of signal, its logical name, parameters
    "clk": ("clock", "CLK", f"ASSOCIATED_BUSIF {':'.join(BUSES)}, ASSOCIATED_RESET rst"),
    "rst": ("reset", "RST", "POLARITY ACTIVE_HIGH"),
    "irq": ("interrupt", "INTERRUPT", "SENSITIVITY LEVEL_HIGH"),
}
# Any signal of the bus would do; this one is in both protocols.
CARRIER = "awaddr"  # of a bus's signals, the one with the parameters of all
_DECLARATION = re.compile(
    r"^  (?P<way>input|output) (?P<bits>\[[\d:]+\] )?(?P<port>\w+);\n", re.MULTILINE
)


def annotated(verilog: str, top: str) -> str:
    """The Verilog with the ports of module ``top`` declared in its head, each with attributes.

    Raises
    ------
    ValueError
        A port belongs to no interface.
    """
    # Of the top module alone: other modules may have ports of the same names.
    start = verilog.index(f"module {top}(")
    end = verilog.index("endmodule", start)
    body = verilog[verilog.index(");\n", start) + 3 : end]
    declared = {found["port"]: found for found in _DECLARATION.finditer(body)}
    body = _DECLARATION.sub("", body)
    for port, found in declared.items():
        # What the head declares must not be declared again.
        body = body.replace(f"  wire {found['bits'] or ''}{port};\n", "")
    # Clock, reset and interrupt first, and then bus by bus.
    groups = (*SIGNALS, *BUSES)
    order = sorted(declared, key=lambda port: (_group(port, groups), port))
    ports = ",\n".join(
        f"{_lines(port)}  {declared[port]['way']} wire {declared[port]['bits'] or ''}{port}"
        for port in order
    )
    return f"{verilog[:start]}module {top} (\n{ports}\n);\n{body}{verilog[end:]}"


def attributes(port: str) -> dict[str, str]:
    """The attributes of one port, by name.

    Raises
    ------
    ValueError
        The port belongs to no interface.
    """
    if port in SIGNALS:
        kind, logical, parameters = SIGNALS[port]
        return {
            "X_INTERFACE_INFO": f"xilinx.com:signal:{kind}:1.0 {port} {logical}",
            "X_INTERFACE_PARAMETER": f"XIL_INTERFACENAME {port}, {parameters}",
        }
    for bus, parameters in BUSES.items():
        if port.startswith(f"{bus}_"):
            logical = port.removeprefix(f"{bus}_")
            found = {"X_INTERFACE_INFO": f"{BUS} {bus} {logical.upper()}"}
            if logical == CARRIER:
                words = {"XIL_INTERFACENAME": bus, **parameters}
                found["X_INTERFACE_PARAMETER"] = ", ".join(f"{n} {v}" for n, v in words.items())
            return found
    raise ValueError(f"port '{port}' belongs to no interface; name it in hw.interfaces")


def _group(port, groups):
    return next((n for n, name in enumerate(groups) if port.startswith(name)), len(groups))


def _lines(port):
    return "".join(f'  (* {name} = "{value}" *)\n' for name, value in attributes(port).items())
