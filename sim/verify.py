"""Holds every tensor of every layer that a device computes to the integer reference."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hw.spec.image import Image, Layer
from qnn.compiler import run_passes
from qnn.design import Design
from qnn.ir.encode import Arrays
from qnn.ir.graph import Graph
from qnn.ir.reference import reference
from qnn.runtime.given import image_count
from sim import functional, rtl
from sim.simulate import integers
from sim.trace import LayerCycles, layer_cycles, layer_tensor, stray_writes

DEVICES = ("rtl", "functional")


@dataclass(frozen=True)
class Difference:
    """One value that is wrong. ``got`` is None if it was never written."""

    layer: str
    image: int
    channel: int
    row: int
    column: int
    expected: int
    got: int | None
    cycle: int | None  # of the write, where the device has cycles

    def __str__(self) -> str:
        got = "nothing was written" if self.got is None else f"got {self.got}"
        when = "" if self.cycle is None else f" in cycle {self.cycle}"
        return (
            f"layer '{self.layer}', image {self.image}, channel {self.channel}, row {self.row}, "
            f"column {self.column}: expected {self.expected}, {got}{when}"
        )


@dataclass(frozen=True)
class LayerReport:
    """One layer and image, or one output as it lies in memory (``op`` is ``store``).

    Of a layer in strips it counts the values of every strip, those that two compute twice.
    """

    name: str
    op: str
    image: int
    values: int
    mismatches: int  # values that differ or were never written, and writes outside the tensor
    first: Difference | None
    problem: str | None  # beyond values: the layer hung, or wrote where it must not
    cycles: LayerCycles | None

    @property
    def passed(self) -> bool:
        """Nothing is wrong with it."""
        return not self.mismatches and self.problem is None


@dataclass(frozen=True)
class Report:
    """What ``verify`` found; ``layers`` are in the order in which they run, image by image."""

    device: str
    layers: tuple[LayerReport, ...]
    failure: str | None  # the run did not end, or ended with an error
    run_cycles: tuple[int, ...] = ()  # of each run of the image, from start to done
    cycles_per_second: float | None = None  # of the simulator
    build_seconds: float | None = None  # 0 if cached

    @property
    def mismatches(self) -> int:
        """Over all layers."""
        return sum(layer.mismatches for layer in self.layers)

    @property
    def values_compared(self) -> int:
        """Over all layers."""
        return sum(layer.values for layer in self.layers)

    @property
    def first(self) -> Difference | None:
        """The first difference of the first layer that has one."""
        return next((layer.first for layer in self.layers if layer.first), None)

    @property
    def first_layer(self) -> str | None:
        """The first layer with anything wrong."""
        return next((layer.name for layer in self.layers if not layer.passed), None)

    @property
    def passed(self) -> bool:
        """Every value is there and right, and the run ended well."""
        return bool(self.values_compared) and not self.failure and self.first_layer is None

    def __str__(self) -> str:
        verdict = "PASS" if self.passed else "FAIL"
        lines = [f"verify: {verdict} {self.mismatches}/{self.values_compared} mismatches"]
        if self.failure:
            lines.append(f"  {self.failure}")
        problem = next((layer for layer in self.layers if layer.problem), None)
        if problem:
            lines.append(f"  layer '{problem.name}', image {problem.image}: {problem.problem}")
        if self.first:
            lines.append(f"  first: {self.first}")
        return "\n".join(lines)


def verify(
    design: Design,
    x: Arrays,
    device: str = "rtl",
    *,
    expected: Mapping[str, np.ndarray] | None = None,
    **options,
) -> Report:
    """Run ``design`` on ``x`` and compare every tensor of every layer with the reference.

    Parameters
    ----------
    x : what ``simulate`` takes
    device : "rtl" or "functional"
    expected : tensors by name, if not the reference's
    options : for the RTL run, see ``sim.rtl.execute``

    Raises
    ------
    DeviceError
        The device broke a rule that belongs to no layer: a guard byte, the AXI protocol.
    """
    if device not in DEVICES:
        raise ValueError(f"verify: device must be one of {', '.join(DEVICES)}, not '{device}'")
    x = integers(design.graph, x)
    expected = expected or expected_tensors(design.graph, x)
    if device == "functional":
        report = _verify_functional(design, x, expected)
    else:
        result = rtl.execute(design.image, x, **options)
        report = compare_runs(design.image, result, expected, image_count(x))
    return replace(report, layers=(*report.layers, *_absent(design)))


def expected_tensors(graph: Graph, x: Arrays) -> dict[str, np.ndarray]:
    """The reference's tensors, those of nodes that only the compiler's passes make included."""
    return reference(run_passes(graph), x) | reference(graph, x)


def compare_runs(
    image: Image, result: rtl.RtlResult, expected: Mapping[str, np.ndarray], images: int
) -> Report:
    """The report of an RTL simulation."""
    layers, failure = [], None
    for number, run in enumerate(result.runs):
        late = run.trace.timed_out
        for layer in image.layers:
            index = number * image.batch + layer.image
            if index < images:
                layers.append(_rtl_layer(layer, index, run.trace, image.config, expected, late))
        if run.failure and failure is None:
            failure = f"run {number}: {run.failure}"
    layers = _joined(layers)
    if failure is None:
        layers += _outputs(image, result.outputs, expected)
    return Report(
        device="rtl",
        layers=tuple(layers),
        failure=failure,
        run_cycles=tuple(run.cycles for run in result.runs),
        cycles_per_second=result.cycles_per_second,
        build_seconds=result.build_seconds,
    )


def _verify_functional(design, x, expected):
    result = functional.run(design.image, x)
    layers = []
    for index in range(image_count(x)):
        run, image = divmod(index, design.image.batch)
        for layer in design.image.layers:
            if layer.image == image:
                got = result.parts[layer.tag][run]
                layers.append(_compare(layer.name, layer.op, index, got, expected, part=layer))
    layers = _joined(layers) + _outputs(design.image, result.outputs, expected)
    return Report("functional", tuple(layers), None)


def _joined(parts):
    """One report for all parts of a layer of an image, where the first of them is."""
    layers: dict[tuple[str, int], LayerReport] = {}
    for part in parts:
        key = (part.name, part.image)
        layers[key] = _sum(layers[key], part) if key in layers else part
    return list(layers.values())


def _sum(one, other):
    return replace(
        one,
        values=one.values + other.values,
        mismatches=one.mismatches + other.mismatches,
        first=one.first or other.first,
        problem=one.problem or other.problem,
        cycles=None if one.cycles is None else one.cycles.union(other.cycles),
    )


def _absent(design):
    """A report for each node of the network that no layer of the image computes."""
    present = {layer.name for layer in design.image.layers}
    nodes = run_passes(design.graph).nodes
    return tuple(
        LayerReport(node.name, "none", 0, 0, 0, None, "the image does not compute it", None)
        for node in nodes
        if node.is_computed and node.name not in present
    )


def _outputs(image, outputs, expected):
    """Each output as memory holds it; ``image.outputs`` names them, for every image of a batch."""
    names = [layout.name for layout in image.outputs[: len(outputs)]]
    return [
        _compare(name, "store", index, got, expected)
        for name, tensor in zip(names, outputs, strict=True)
        for index, got in enumerate(tensor)
    ]


def _rtl_layer(layer: Layer, index, trace, config, expected, timed_out):
    written = layer_tensor(trace, layer, config)
    cycles = layer_cycles(trace, layer.tag)
    stray = stray_writes(trace, layer, config)
    missing = written.present.size - int(written.present.sum())
    problem = None
    if missing:
        why = "when the run timed out" if timed_out else "at the end"
        problem = f"{missing} of {written.present.size} values were not written {why}"
    elif stray:
        problem = f"{stray} writes outside its tensor"
    return _compare(
        layer.name,
        layer.op,
        index,
        written.values,
        expected,
        part=layer,
        present=written.present,
        cycle=written.cycle,
        problem=problem,
        cycles=cycles,
    )


def _compare(
    name,
    op,
    index,
    got,
    expected,
    *,
    part=None,
    present=None,
    cycle=None,
    problem=None,
    cycles=None,
):
    """Hold ``got`` to the tensor, or to the part of it that a layer of the image is."""
    wanted = expected[name][index]
    start = (0, 0)
    if part is not None:
        wanted, start = wanted[part.place], (part.channel, part.row)
    wrong = got.reshape(wanted.shape) != wanted
    if present is not None:
        wrong |= ~present
    count = int(wrong.sum())
    first = None
    if count:
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        there = present is None or bool(present[place])
        first = Difference(
            name,
            index,
            channel=start[0] + place[0],
            row=start[1] + place[1],
            column=place[2],
            expected=int(wanted[place]),
            got=int(got[place]) if there else None,
            cycle=int(cycle[place]) if there and cycle is not None else None,
        )
    return LayerReport(name, op, index, wanted.size, count, first, problem, cycles)
