"""``qnn report``: a build folder in, one HTML page of all that is known of it out."""

from pathlib import Path

from qnn.cli.output import Json, print_json
from qnn.cli.results import keep_result
from qnn.cli.sources import Build, read_design


def report(build: Build, as_json: Json = False) -> None:
    """Write BUILD/report/index.html.

    One page that needs no other file: the network, cycles of its layers, memory, cells, and what
    'qnn verify', 'simulate' and 'synth' left in the build folder. What was not run says so.
    """
    from qnn.report import records
    from qnn.report.page import write_page

    read_design(build)
    keep_vivado(build)
    path = write_page(build)
    found = records.read(build)
    result = {
        "page": str(path),
        "results": sorted(found),
        "stale": sorted(name for name, record in found.items() if record.stale),
    }
    if as_json:
        print_json(result)
        return
    stale = f", {len(result['stale'])} of them stale" if result["stale"] else ""
    print(f"{path}: {len(found)} results{stale}")


def keep_vivado(build: Path) -> None:
    """Read back what Vivado reported of the board's project, where it has run."""
    from boards.zcu102.reports import read

    found = read(build)
    if found is None:
        return
    kept: dict = {"tool": found.tool, "device": found.device, "state": found.state}
    if found.uses is not None:
        kept["measured_cells"] = {name: use.used for name, use in found.uses.items()}
        kept["given_available_cells"] = {name: use.available for name, use in found.uses.items()}
    if found.timing is not None:
        kept["timing_met"] = found.timing.met
        kept |= clock(found.timing.clocks_mhz, found.timing.worst_setup_ns)
    keep_result(build, "vivado", kept)


def clock(clocks_mhz: dict[str, float], slack_ns: float | None) -> dict[str, float]:
    """The clock asked for, and what the worst slack would allow; nothing of several clocks."""
    if len(clocks_mhz) != 1 or slack_ns is None:
        return {}
    (mhz,) = clocks_mhz.values()
    return {"given_clock_mhz": mhz, "estimated_fmax_mhz": 1000 / (1000 / mhz - slack_ns)}
