"""Holds the tensors of an execution to those that are expected, and counts every value."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from qnn.backend.claims import Claim, contradictions
from qnn.backend.execution import Execution, TensorPart
from qnn.ir.graph import Graph
from sim.verification import PORTS, Difference, LayerReport

Tensors = Mapping[str, np.ndarray]  # (images, channels, height, width), by name


def compare(
    execution: Execution, expected: Tensors, graph: Graph, lowered: Graph
) -> list[LayerReport]:
    """A report of each layer of each image, then of each output, then of what nothing computed.

    Parameters
    ----------
    graph : whose outputs are in memory at the end
    lowered : what the back end computes of it, whose nodes are its layers
    """
    layers: dict[tuple[str, int], LayerReport] = {}
    seen: dict[tuple[str, int], np.ndarray] = {}
    for part in execution.parts:
        key = (part.name, part.image)
        report = _compare(part, expected)
        layers[key] = _sum(layers[key], report) if key in layers else report
        _mark(seen, part, expected)
    if execution.failure:
        # What did not come to run says nothing of where the mistake is: it comes last.
        return [*layers.values(), *_unfinished(lowered, execution, layers, seen, expected)]
    layers = {key: _whole(report, seen.get(key), expected) for key, report in layers.items()}
    outputs = _outputs(graph, execution, expected)
    return [*layers.values(), *outputs, *_absent(lowered, execution, layers, expected)]


def compare_claims(
    claims: tuple[Claim, ...], wanted: Mapping[tuple[str, str], Claim]
) -> list[LayerReport]:
    """A report of each fact of a tensor that the artifact claims and the network has otherwise."""
    return [
        LayerReport(
            name=name,
            op=kind if kind in PORTS else "claim",
            image=0,
            values=0,
            mismatches=0,
            first=None,
            problem=problem,
            cycles=None,
        )
        # Once each: an artifact for a batch says the same of every image.
        for kind, name, problem in dict.fromkeys(contradictions(claims, wanted))
    ]


def named_as_given(layers: Iterable[LayerReport], graph: Graph) -> Iterator[LayerReport]:
    """The reports, those of outputs with their keys in what the user's model gives."""
    known = graph.output_labels
    for layer in layers:
        labels = known.get(layer.name, ())
        first = layer.first and replace(layer.first, results=labels)
        yield replace(layer, results=labels, first=first)


def _sum(one, other):
    return replace(
        one,
        values=one.values + other.values,
        mismatches=one.mismatches + other.mismatches,
        first=one.first or other.first,
        problem=one.problem or other.problem,
        cycles=None if one.cycles is None else one.cycles.union(other.cycles),
    )


def _mark(seen, part, expected):
    """Note the channels and rows of its tensor that a part has; the width is never cut."""
    if _misfit(part, expected) is None:
        channels, rows = part.place
        shape = expected[part.name].shape[1:3]
        seen.setdefault((part.name, part.image), np.zeros(shape, bool))[channels, rows] = True


def _whole(report, seen, expected):
    """The report, with values of the tensor that belong to no part of the layer as mismatches."""
    if seen is None:
        return report
    width = expected[report.name].shape[3]
    missing = int((~seen).sum()) * width
    if not missing:
        return report
    problem = f"{missing} of {seen.size * width} values are in no part that the image has of it"
    return replace(
        report,
        values=report.values + missing,
        mismatches=report.mismatches + missing,
        problem=report.problem or problem,
    )


def _absent(lowered, execution, layers, expected):
    """A report for each node of the network, and image, that nothing computed."""
    for name, image in _computed(lowered, execution):
        if (name, image) not in layers:
            size = expected[name][image].size
            why = "the image does not compute it"
            yield LayerReport(name, "none", image, size, size, None, why, None)


def _unfinished(lowered, execution, layers, seen, expected):
    """A report for each layer that the failure of the run left without all of its values.

    First comes the layer whose step failed.
    """
    found = []
    for name, image in _computed(lowered, execution):
        mask = seen.get((name, image))
        size = expected[name][image].size
        missing = size if mask is None else size * int((~mask).sum()) // mask.size
        # A part that does not fit its tensor has a report of its own.
        if missing and not (mask is None and (name, image) in layers):
            why = f"{missing} of {size} values were not computed when the run ended"
            found.append(LayerReport(name, "none", image, missing, missing, None, why, None))
    return sorted(found, key=lambda report: report.name != execution.stopped)


def _computed(lowered, execution):
    """Name and image of each layer that should be there, image by image."""
    for image in range(len(execution.outputs[0])):
        for node in lowered.nodes:
            # Readers of a copy that was left out show whether they read the right values.
            if node.is_computed and not node.is_optional:
                yield node.name, image


def _outputs(graph, execution, expected):
    """Each output as memory holds it."""
    return [
        _compare(TensorPart(name=node.name, op="store", image=index, values=got), expected)
        for node, tensor in zip(graph.outputs, execution.outputs, strict=True)
        for index, got in enumerate(tensor)
    ]


def _misfit(part, expected):
    """Why a part cannot be one of its tensor; None if it can."""
    if part.name not in expected:
        return "the network has no such layer"
    channels, rows = part.place
    shape, got = expected[part.name].shape[1:], part.values.shape
    # Negative places would count from the end, and be taken for others.
    inside = min(channels, default=0) >= 0 and max(channels, default=0) < shape[0]
    inside &= rows.start >= 0 and rows.stop <= shape[1]
    if inside and len(got) == 3 and got[0] == len(channels) and got[2] == shape[2]:
        return None
    return f"the image has values of shape {got} of it, which do not lie in its {shape}"


def _compare(part: TensorPart, expected: Tensors) -> LayerReport:
    """Hold a tensor, or a part of one, to the values that it should have."""
    misfit = _misfit(part, expected)
    if misfit:
        size = part.values.size
        return LayerReport(part.name, part.op, part.image, size, size, None, misfit, part.cycles)
    channels, rows = part.place
    wanted, got = expected[part.name][part.image][channels, rows], part.values
    wrong = got != wanted
    if part.present is not None:
        wrong |= ~part.present
    # All are counted, and the first is named: where an error begins says most about it.
    count = int(wrong.sum())
    first = _first(part, wanted, wrong) if count else None
    return LayerReport(
        part.name, part.op, part.image, wanted.size, count, first, part.problem, part.cycles
    )


def _first(part, wanted, wrong):
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    there = part.present is None or bool(part.present[place])
    return Difference(
        part.name,
        part.image,
        channel=part.place[0][place[0]],
        row=part.row + place[1],
        column=place[2],
        expected=int(wanted[place]),
        got=int(part.values[place]) if there else None,
        cycle=int(part.cycle[place]) if there and part.cycle is not None else None,
    )
