"""Holds every tensor of every layer that a device computes to the integer reference."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from qnn.backend.execution import Execution, LayerCycles, TensorPart
from qnn.backend.protocol import Backend
from qnn.backend.registry import DEFAULT, named
from qnn.design import Design
from qnn.ir.encode import Arrays
from qnn.ir.graph import Graph
from qnn.ir.reference import reference
from sim.simulate import integers


@dataclass(frozen=True)
class Difference:
    """A value that is not as expected; ``got`` is None if it was never written."""

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
    """The comparison of one layer of one image, or of one output in memory (``op`` is ``store``).

    For a layer in strips it counts the values of every strip; rows of two strips count twice.
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
        """Whether nothing is wrong with the layer."""
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
        """The mismatches of all layers together."""
        return sum(layer.mismatches for layer in self.layers)

    @property
    def values_compared(self) -> int:
        """The values of all layers together."""
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
        """Whether every value is there and right, and the run ended well."""
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
    device: str | None = None,
    *,
    expected: Mapping[str, np.ndarray] | None = None,
    **options,
) -> Report:
    """Run ``design`` on ``x`` and compare every tensor of every layer with the reference.

    Parameters
    ----------
    x : what ``simulate`` takes
    device : one of the back end's, by default the closest to hardware; the array has "functional"
        and "rtl"
    expected : tensors by name, if not the reference's
    options : of the device; for "rtl" see ``sim.rtl.execute``

    Raises
    ------
    DeviceError
        The device broke a rule that belongs to no layer: a guard byte, the AXI protocol.
    """
    devices = design.backend.devices
    device = device or devices[-1]
    if device not in devices:
        raise ValueError(f"verify: device must be one of {', '.join(devices)}, not '{device}'")
    x = integers(design.graph, x)
    expected = expected or expected_tensors(design.graph, x, design.backend)
    execution = design.backend.run(
        design.artifact, x, device, tensors=True, built=design.built, **options
    )
    layers = _joined(_compare(part, expected) for part in execution.parts)
    if execution.failure is None:
        layers += _outputs(design.graph, execution, expected)
    return Report(
        device=device,
        layers=(*layers, *_absent(design, execution)),
        failure=execution.failure,
        run_cycles=execution.cycles or (),
        cycles_per_second=execution.cycles_per_second,
        build_seconds=execution.build_seconds,
    )


def expected_tensors(
    graph: Graph, x: Arrays, backend: Backend | None = None
) -> dict[str, np.ndarray]:
    """The reference's tensors, and those of nodes that only the back end's lowering makes."""
    backend = backend or named(DEFAULT)
    return reference(backend.lower(graph), x) | reference(graph, x)


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


def _absent(design, execution: Execution):
    """A report for each node of the network, and image, that nothing computed."""
    present = {(part.name, part.image) for part in execution.parts}
    nodes = [node for node in design.backend.lower(design.graph).nodes if node.is_computed]
    # A layer that was never computed has no value that could differ.
    return tuple(
        LayerReport(node.name, "none", image, 0, 0, None, "the image does not compute it", None)
        for image in range(len(execution.outputs[0]))
        for node in nodes
        if (node.name, image) not in present
    )


def _outputs(graph, execution, expected):
    """Each output as memory holds it."""
    return [
        _compare(TensorPart(name=node.name, op="store", image=index, values=got), expected)
        for node, tensor in zip(graph.outputs, execution.outputs, strict=True)
        for index, got in enumerate(tensor)
    ]


def _compare(part: TensorPart, expected) -> LayerReport:
    """Hold a tensor, or a part of one, to the values that it should have."""
    channels, rows = part.place
    wanted, got = expected[part.name][part.image][channels, rows], part.values
    if got.shape != wanted.shape:
        raise ValueError(
            f"verify: tensor '{part.name}' has {wanted.shape} values where the back end gave "
            f"{got.shape}"
        )
    wrong = got != wanted
    if part.present is not None:
        wrong |= ~part.present
    # All are counted, and the first is named: where an error begins says most about it.
    count = int(wrong.sum())
    first = None
    if count:
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        there = part.present is None or bool(part.present[place])
        first = Difference(
            part.name,
            part.image,
            channel=channels[place[0]],
            row=part.row + place[1],
            column=place[2],
            expected=int(wanted[place]),
            got=int(got[place]) if there else None,
            cycle=int(part.cycle[place]) if there and part.cycle is not None else None,
        )
    return LayerReport(
        part.name, part.op, part.image, wanted.size, count, first, part.problem, part.cycles
    )
