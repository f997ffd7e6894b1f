"""Whether a build folder's files for the board agree: ports of the top, and pins."""

import re
from collections.abc import Mapping

from boards.ulx3s.facts import PINS, TOP

VERILOG, PINS_FILE = f"ulx3s/{TOP}.v", "ulx3s/ulx3s.lpf"
_PORT = re.compile(r"^  (?:input|output) (?:\[(\d+):0\] )?(\w+);", re.MULTILINE)
_PIN = re.compile(r'^LOCATE COMP "([^"]+)" SITE "(\w+)"', re.MULTILINE)


def findings(files: Mapping[str, str]) -> list[str]:
    """What does not agree, a line each.

    Parameters
    ----------
    files : path in the build folder to text
    """
    missing = [name for name in (VERILOG, PINS_FILE) if name not in files]
    if missing:
        return [f"{name}: missing; compile the model again" for name in missing]
    ports, pins = _ports(files[VERILOG]), _PIN.findall(files[PINS_FILE])
    named, board = {port for port, _ in pins}, {pin.port: pin.site for pin in PINS}
    found = [f"{PINS_FILE}: port {port} has no pin" for port in sorted(ports - named)]
    found += [f"{PINS_FILE}: {port} is no port of {TOP}" for port in sorted(named - ports)]
    found += [
        f"{PINS_FILE}: {port} is on {site}, but the board has it on {board[port]}"
        for port, site in pins
        if site != board.get(port, site)
    ]
    return found


def _ports(verilog):
    """Each bit of each port of the top module."""
    module = verilog.partition(f"module {TOP}(")[2].partition("endmodule")[0]
    found = set()
    for last, name in _PORT.findall(module):
        found |= {f"{name}[{bit}]" for bit in range(int(last) + 1)} if last else {name}
    return found
