"""Attributes that tell Vivado which ports of the top module are a bus, clock, reset or interrupt.

Source: AMD UG994 (2023.2), "List of Supported X_ Attributes" and "Inferring Control Signals in a
RTL Module". No frequency is given: UG994 needs it of output clocks alone, and what drives this
clock passes its own on, so that the same Verilog serves at any clock.
"""

import re

BUSES = {"m_axi": "AXI4", "s_axi": "AXI4LITE"}  # port prefix: protocol
BUS = "xilinx.com:interface:aximm:1.0"
SIGNALS = {  # port: kind of signal, its logical name, parameters
    "clk": ("clock", "CLK", f"ASSOCIATED_BUSIF {':'.join(BUSES)}, ASSOCIATED_RESET rst"),
    "rst": ("reset", "RST", "POLARITY ACTIVE_HIGH"),
    "irq": ("interrupt", "INTERRUPT", "SENSITIVITY LEVEL_HIGH"),
}
# Any signal of the bus would do; this one is in both protocols.
CARRIER = "awaddr"  # of a bus's signals, the one with the parameters of all
_DECLARATION = re.compile(r"^  (?:input|output) (?:\[[\d:]+\] )?(?P<port>\w+);$", re.MULTILINE)


def annotated(verilog: str, top: str) -> str:
    """The Verilog with attributes before each declaration of a port of module ``top``.

    Raises
    ------
    ValueError
        A port belongs to no interface.
    """
    # Of the top module alone: other modules may have ports of the same names.
    start = verilog.index(f"module {top}(")
    end = verilog.index("endmodule", start)
    ports = _DECLARATION.sub(lambda found: _lines(found["port"]) + found[0], verilog[start:end])
    return verilog[:start] + ports + verilog[end:]


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
    for bus, protocol in BUSES.items():
        if port.startswith(f"{bus}_"):
            logical = port.removeprefix(f"{bus}_")
            found = {"X_INTERFACE_INFO": f"{BUS} {bus} {logical.upper()}"}
            if logical == CARRIER:
                found["X_INTERFACE_PARAMETER"] = f"XIL_INTERFACENAME {bus}, PROTOCOL {protocol}"
            return found
    raise ValueError(f"port '{port}' belongs to no interface; name it in hw.interfaces")


def _lines(port):
    return "".join(f'  (* {name} = "{value}" *)\n' for name, value in attributes(port).items())
