"""Paths of routed designs as files of JSON lines hold them, checked where they are read."""

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qnn.eda.timing.sites import Site
from qnn.errors import PathError
from qnn.fields import FieldsError, parsed, typed_fields
from qnn.files import open_file

MOST_BYTES = 1 << 30  # of a file, unpacked
KINDS = {
    "report": str,
    "device": str,
    "speed": str,
    "data_path_ns": float,
    "setup": tuple[str, float],
    "hops": list[dict],
}
CELL = {"cell": str, "ns": float, "at": Site}
NET = {"net": int, "ns": float, "from": Site, "to": Site}
ROUNDING_NS = 0.001  # a report prints thousandths, and each hop is rounded by itself
LONGEST_NS = 1e6  # a thousand times what the slowest clocks leave


@dataclass(frozen=True)
class RoutedNet:
    """A net of a path: what drives it and what it ends at are arcs as Vivado prints them.

    Members
    -------
    source, sink : the arc before the net, the arc or the check after it
    sink_ns : what the arc after it takes; of a check, its time
    """

    fan_out: int
    ns: float
    begin: Site
    end: Site
    source: str
    sink: str
    sink_ns: float


@dataclass(frozen=True)
class RoutedPath:
    """A path between registers: arcs of cells, and the nets between them.

    Members
    -------
    ns, cells_ns : of all, and of its cells
    arcs : name and time of each cell's
    check : name and time of the check at its end; a set-up that is needed before is negative
    """

    report: str
    device: str
    speed: str
    ns: float
    cells_ns: float
    arcs: tuple[tuple[str, float], ...]
    check: tuple[str, float]
    nets: tuple[RoutedNet, ...]


def read_paths(file: Path) -> list[RoutedPath]:
    """The paths of a file of JSON lines, plain or compressed by gzip.

    Raises
    ------
    PathError
        The file has no path, cannot be unpacked, or has a line that is none: the text says which
        and why.
    """
    found = []
    for number, line in enumerate(_lines(file), 1):
        if not line.strip():
            continue
        try:
            found.append(_path(parsed(line)))
        except FieldsError as error:
            raise PathError(f"{file}: line {number}: {error}; correct the file") from None
    if not found:
        raise PathError(f"{file}: one routed path a line is needed, but there is none; correct it")
    return found


def _lines(file: Path) -> Iterator[bytes]:
    with open_file(file) as raw:
        # By its content: a name says little of a file that was copied.
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            with gzip.open(raw) if packed else raw as opened:
                data = opened.read(MOST_BYTES + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise PathError(f"{file}: cannot be unpacked ('{error}'); correct the file") from None
    if len(data) > MOST_BYTES:
        raise PathError(f"{file}: at most {MOST_BYTES:,} bytes are read, but it has more; split it")
    return io.BytesIO(data)


def _path(value) -> RoutedPath:
    given = _some(KINDS, value)
    hops = [_hop(hop, n) for n, hop in enumerate(given["hops"])]
    _check_order(hops)
    arcs = tuple((hop["cell"], hop["ns"]) for hop in hops[::2])
    ends = (*arcs[1:], given["setup"])
    nets = tuple(
        RoutedNet(hop["net"], hop["ns"], hop["from"], hop["to"], before[0], *after)
        for hop, before, after in zip(hops[1::2], arcs, ends, strict=True)
    )
    total, cells = given["data_path_ns"], sum(ns for _, ns in arcs)
    # Errors are relative to it: one near 0, or near the greatest number, has none.
    if not ROUNDING_NS <= total <= LONGEST_NS:
        needs = f"a time from {ROUNDING_NS:g} to {LONGEST_NS:,.0f}"
        raise FieldsError(needs, f"{total:g}", ("data_path_ns",))
    # A file whose times were changed by hand, or cut, would be judged as if it were Vivado's.
    found = cells + sum(net.ns for net in nets)
    if abs(found - total) > ROUNDING_NS * len(hops):
        raise FieldsError(f"hops that sum up to its data_path_ns, {total:g}", f"{found:.6g}")
    names = given["report"], given["device"], given["speed"]
    return RoutedPath(*names, total, cells, arcs, given["setup"], nets)


def _some(kinds, value):
    """The keys of ``kinds``; a report has more to say of a path than is asked here."""
    if type(value) is dict:
        value = {name: each for name, each in value.items() if name in kinds}
    return typed_fields(kinds, value)


def _hop(value, n):
    try:
        found = _some(NET if "net" in value else CELL, value)
        if found["ns"] < 0:
            raise FieldsError("a time of at least 0", f"{found['ns']:g}", ("ns",))
        if found.get("net", 1) < 1:
            raise FieldsError("a fan-out of at least 1", found["net"], ("net",))
    except FieldsError as error:
        raise error.inside(n).inside("hops") from None
    return found


def _check_order(hops):
    if len(hops) < 2 or len(hops) % 2:
        raise FieldsError("cells and nets in turn, and a net last", f"{len(hops)} hops", ("hops",))
    for n, hop in enumerate(hops):
        if ("net" in hop) != bool(n % 2):
            raise FieldsError(("a cell", "a net")[n % 2], "the other", ("hops", n))
