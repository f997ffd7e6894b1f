"""Whether a build folder's files for the board agree: ports of the top, pins, shared modules."""

import re
from collections.abc import Mapping

from boards.ecp5.facts import Ecp5Facts
from hw.spec.verilog_files import WORDS

# The forms in which Amaranth's Verilog declares ports and our own file places pins.
_PORT = re.compile(r"^  (?:input|output) (?:\[(\d+):0\] )?(\w+);", re.MULTILINE)
_PIN = re.compile(r'^LOCATE COMP "([^"]+)" SITE "(\w+)"', re.MULTILINE)


def findings(files: Mapping[str, str], facts: Ecp5Facts) -> list[str]:
    """The contradictions between the board's files and its facts, a line each.

    Parameters
    ----------
    files : path in the build folder to text
    """
    verilog, pins_file = (
        f"{facts.name}/{name}" for name in (f"{facts.top}.v", f"{facts.name}.lpf")
    )
    # Without both files there is nothing to compare.
    missing = [name for name in (verilog, pins_file) if name not in files]
    if missing:
        return [f"{name}: missing; compile the model again" for name in missing]
    ports, pins = _ports(files[verilog], facts.top), _PIN.findall(files[pins_file])
    named, board = {port for port, _ in pins}, {pin.port: pin.site for pin in facts.pins}
    found = [f"{pins_file}: port {port} has no pin" for port in sorted(ports - named)]
    found += [f"{pins_file}: {port} is no port of {facts.top}" for port in sorted(named - ports)]
    found += [
        f"{pins_file}: {port} is on {site}, but the board has it on {board[port]}"
        for port, site in pins
        if site != board.get(port, site)
    ]
    return found + _other_modules(files, facts)


def _other_modules(files, facts):
    """The board's copies of the accelerator's modules that are not those that are simulated."""
    copies = ((path, WORDS + path.rpartition("/")[2]) for path in sorted(files))
    return [
        f"{path}: differs from {simulated}, which is what 'qnn verify' simulates; compile the "
        f"model again"
        for path, simulated in copies
        if path.startswith(f"{facts.name}/") and files.get(simulated, files[path]) != files[path]
    ]


def _ports(verilog, top):
    """Each bit of each port of the top module."""
    # Only the top module's ports are pins; inner modules have ports of the same names.
    module = verilog.partition(f"module {top}(")[2].partition("endmodule")[0]
    found = set()
    for last, name in _PORT.findall(module):
        found |= {f"{name}[{bit}]" for bit in range(int(last) + 1)} if last else {name}
    return found
