"""Verifies many images of one design or of several at once, in the workers of a farm."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from qnn.design import Design
from qnn.farm.done import Done
from qnn.farm.farm import Farm
from qnn.ir.encode import Arrays, encode_input
from sim.verification import PORTS, LayerReport, Report
from sim.verify import verify

# Of a simulation, which takes a second to start: a worker has so many of them, so that one that
# ends early takes over from others, and one that dies loses little.
PARTS_OF_WORKER = 2
# Reports of what an artifact says, which is the same of every image.
OF_ARTIFACT = (*PORTS, "claim")


@dataclass(frozen=True, eq=False)
class VerifiedPart:
    """Images that one simulation runs, one run after the other.

    Members
    -------
    design : its number among the designs
    first : the number of its first image among the design's
    x : codes of the network's inputs
    """

    design: int
    first: int
    x: Arrays


def verify_many(
    designs: Sequence[Design],
    inputs: Sequence[Arrays],
    device: str,
    farm: Farm,
    say: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Report]:
    """The report of each design on its inputs, as ``verify`` gives it for all of its images.

    Parameters
    ----------
    inputs : of each design, what ``verify`` takes
    device : one that each design's back end has
    say : is told the images done, of all
    """
    # Here, so that what is refused is refused before a worker has it.
    codes = [encode_input(d.graph, x) for d, x in zip(designs, inputs, strict=True)]
    parts = list(_parts(designs, codes, farm.workers))
    total, ended = sum(_count(part.x) for part in parts), 0
    found: dict[int, list[tuple[int, Report]]] = defaultdict(list)
    for done in farm.run(partial(verify_part, tuple(designs), device), parts):
        part = done.item
        found[part.design].append((part.first, _report(done, device)))
        ended += _count(part.x)
        say(ended, total)
    return [joined(found[number]) for number in range(len(designs))]


def verify_part(designs: Sequence[Design], device: str, part: VerifiedPart) -> Report:
    """What a worker does: verify some images of one of the designs."""
    return verify(designs[part.design], part.x, device)


def joined(found: Sequence[tuple[int, Report]]) -> Report:
    """One report of those of a design's parts, each with the number of its first image."""
    found = sorted(found, key=lambda each: each[0])
    reports = [report for _, report in found]
    images = [max(1, len({r.image for r in report.layers})) for report in reports]
    speeds = [(sum(r.run_cycles), r.cycles_per_second) for r in reports if r.cycles_per_second]
    failures = (f"from image {first} on: {r.failure}" for first, r in found if r.failure)
    builds = [r.build_seconds for r in reports if r.build_seconds is not None]
    return Report(
        device=reports[0].device,
        layers=tuple(_layers(found)),
        failure=next(failures, None),
        run_cycles=tuple(cycles for r in reports for cycles in r.run_cycles),
        layer_cycles=_mean([(r.layer_cycles, n) for r, n in zip(reports, images, strict=True)]),
        # Of one simulator: as many cycles in as many seconds.
        cycles_per_second=sum(c for c, _ in speeds) / sum(c / s for c, s in speeds)
        if speeds
        else None,
        build_seconds=max(builds, default=None),
    )


def _parts(designs, codes, workers) -> Iterator[VerifiedPart]:
    """All images, in parts that end at the end of a run."""
    batches = [design.artifact.batch for design in designs]
    runs = sum(-(-_count(x) // batch) for x, batch in zip(codes, batches, strict=True))
    at_once = max(1, runs // (PARTS_OF_WORKER * workers))
    for number, (x, batch) in enumerate(zip(codes, batches, strict=True)):
        for first in range(0, _count(x), at_once * batch):
            which = slice(first, first + at_once * batch)
            own = tuple(each[which] for each in x) if isinstance(x, tuple) else x[which]
            yield VerifiedPart(number, first, own)


def _count(x) -> int:
    return len(x[0]) if isinstance(x, tuple) else len(x)


def _report(done: Done, device) -> Report:
    """A part's report; of one that has none, that nothing was compared, and why."""
    if done.failure is None:
        return done.result
    return Report(device=device, layers=(), failure=done.failure)


def _layers(found) -> Iterator[LayerReport]:
    """The reports of all layers, by the numbers of the design's images."""
    said = set()
    for first, report in found:
        for layer in report.layers:
            if layer.op not in OF_ARTIFACT:
                yield _moved(layer, first)
            # Every simulation says the same of it.
            elif layer not in said:
                said.add(layer)
                yield layer


def _moved(layer, first):
    difference = layer.first and replace(layer.first, image=layer.first.image + first)
    return replace(layer, image=layer.image + first, first=difference)


def _mean(found) -> dict[str, float]:
    """The mean of each layer's cycles over all images, given those of parts and their images."""
    totals, count = defaultdict(float), sum(images for cycles, images in found if cycles)
    for cycles, images in found:
        for name, each in cycles.items():
            totals[name] += each * images
    return {name: total / count for name, total in totals.items()}
