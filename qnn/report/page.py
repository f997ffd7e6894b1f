"""The report of a build folder as one HTML page that needs no other file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

import boards
from boards.board import Board
from qnn.backend.costs import Costs
from qnn.design import Design
from qnn.errors import CompileError
from qnn.fields import Count, FieldsError, parsed, typed_fields
from qnn.files import read_note, write_whole
from qnn.manifest import read_manifest
from qnn.report import records
from qnn.report.cards import cards, missing
from qnn.report.numbers import label, number
from qnn.report.picture import picture
from qnn.report.records import Record
from qnn.report.resources import chips, counts
from qnn.report.speed import Pace, pace
from qnn.report.timing import clock_cards, untimed, views

NAME = "index.html"


def write_page(build: Path) -> Path:
    """Write ``report/index.html`` in the build folder; the same bytes for the same folder.

    Raises
    ------
    CompileError
        Not a build folder, or it was altered.
    """
    design = Design.read(build)
    path = build / records.FOLDER / NAME
    path.parent.mkdir(exist_ok=True)
    estimate = path.with_name("estimate_board_resources.json")
    cells = _estimate(estimate) if estimate.is_file() else None
    shown = boards.shown(build)
    own = boards.board_of(build) is not None
    write_whole(path, page(design, records.read(build), manifest(build), shown, cells, own))
    return path


def page(
    design: Design,
    found: dict[str, Record],
    facts: dict,
    shown: Sequence[Board],
    estimate: dict | None = None,
    own: bool = False,
) -> str:
    """The HTML text of the page.

    Parameters
    ----------
    found : results by name, as ``qnn.report.records.read`` gives them
    facts : the build folder's manifest, with what its back end says
    shown : boards whose results the page shows, first that of the build
    estimate : the build folder's estimate of a board's cells, where it has one
    own : whether the first board is the build's, and not one that stands for it
    """
    artifact, backend = design.artifact, design.backend
    cost, memory = backend.costs(artifact), backend.memory(artifact)
    # Only a build of a board has its estimate; that of others is of the board that stands for all.
    at = pace(shown[0], own, estimate)
    environment = Environment(
        loader=PackageLoader("qnn.report", "."),
        # Names of layers are the user's, and may have angle brackets.
        autoescape=True,
        # A misspelt name in the template is a fault, not an empty place on the page.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    ways = [way for way in counts(shown) if not way.other_numbers]
    # Shown among the chips already.
    cells_only = {name for way in ways for name in way.titles}
    causes = dict.fromkeys(cause for layer in cost.layers for cause in layer.stalls)
    longest = max((max(layer.cycles, layer.estimated) for layer in cost.layers), default=1)
    return environment.get_template("page.html").render(
        config=artifact.config,
        batch=artifact.batch,
        facts=facts,
        layers=cost.layers,
        # A network without layers has bars of no length, but no division by zero.
        longest=longest or 1,
        stalls=[cause for cause in causes if any(layer.stalls[cause] for layer in cost.layers)],
        cards=[
            *cards(found, cost, shown, backend.devices, artifact.batch, at),
            *clock_cards(found),
        ],
        missing=[*missing(found, shown, backend.devices), *untimed(found)],
        timings=views(found),
        network=described(design, facts),
        newest=newest(found),
        memory=assumed_memory(cost, at),
        picture=picture(design.graph),
        sections=memory.sections,
        buffers=memory.buffers,
        places=memory.places,
        chips=chips(found, shown, estimate),
        runs=[run(record) for name, record in found.items() if name not in cells_only],
        stale=any(record.stale for record in found.values()),
    )


def run(record: Record) -> dict:
    """A result that is no count of cells: its name, its numbers, and what else it says."""
    numbers = [
        (label(key), number(key, value, record.stale))
        for key, value in record.values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    texts = [
        (key.replace("_", " "), "yes" if value is True else "no" if value is False else value)
        for key, value in record.values.items()
        if isinstance(value, bool | str)
    ]
    title = record.name.replace("_", " ")
    return {"title": title, "stale": record.stale, "numbers": numbers, "texts": texts}


def described(design: Design, facts: dict) -> dict[str, str]:
    """The network's name, where its build has one, and what it takes, gives and holds."""
    graph, name = design.graph, facts.get("network")
    shapes = (
        ", ".join(" x ".join(map(str, node.shape)) for node in nodes)
        for nodes in (graph.inputs, graph.outputs)
    )
    size = design.backend.size(design.artifact)
    text = f"{' to '.join(shapes)}; {size.layers} layers, {size.image_bytes:,} bytes"
    return {"name": name if isinstance(name, str) else "Network", "text": text}


def newest(found: Mapping[str, Record]) -> dict[str, str] | None:
    """When the newest result was made, and of which commit; None where no result says so."""
    dated = [
        record.values for record in found.values() if isinstance(record.values.get("date"), str)
    ]
    return max(dated, key=lambda values: values["date"], default=None)


def assumed_memory(cost: Costs, at: Pace) -> str | None:
    """What the cycle model assumes of the memory, in one sentence; None if it has none."""
    if cost.latency_cycles is None or cost.bytes_per_cycle is None:
        return None
    # At the chosen clock, as people know memories by bytes a second.
    rate = cost.bytes_per_cycle * at.clock_mhz / 1e3
    return (
        f"a memory that answers after {cost.latency_cycles} cycles and moves "
        f"{cost.bytes_per_cycle} bytes a cycle each way, which is {rate:.1f} GB/s at "
        f"{at.clock_mhz:g} MHz"
    )


def manifest(build: Path) -> dict:
    """What the build folder says of itself."""
    found = read_manifest(build)
    return {**found.facts, "files": found.files, "tools": found.tools}


def _estimate(path):
    """A board's estimate of cells, of which the numbers of its device count."""
    kinds = {"cores": Count, "given_clock_mhz": float}
    kinds |= {"all_cores": dict[str, float], "device": dict[str, float | str]}
    try:
        found = parsed(read_note(path))
        found = found if isinstance(found, dict) else {}
        held = typed_fields(kinds, {key: found[key] for key in kinds if key in found})
    except (OSError, FieldsError) as error:
        raise CompileError(f"{path}: {error}; compile the model again") from None
    device = {key: value for key, value in held["device"].items() if not isinstance(value, str)}
    return {**held, "device": device}
