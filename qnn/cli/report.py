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

    # For its refusals: a page of an altered build would be of no network.
    read_design(build)
    # First, so that the page shows what the board's own tool has left since.
    keep_results(build)
    # The page is one file: it can be sent, and opened without a server.
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


def keep_results(build: Path) -> None:
    """Read back what a board's own tool left in the build folder, where it has run."""
    import boards

    for board in boards.shown(build):
        for name, values in board.results(build).items():
            keep_result(build, name, values)
