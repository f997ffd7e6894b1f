"""Holds every tensor of every layer that a device computes to the integer reference."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from qnn.backend.claims import graph_claims
from qnn.backend.protocol import Backend
from qnn.backend.registry import DEFAULT, named
from qnn.design import Design
from qnn.ir.encode import Arrays
from qnn.ir.graph import Graph
from qnn.ir.reference import reference
from sim.compare import compare, compare_claims
from sim.record_waves import CYCLES, check_waves, record_waves
from sim.simulate import integers
from sim.verification import Report


def verify(
    design: Design,
    x: Arrays,
    device: str | None = None,
    *,
    expected: Mapping[str, np.ndarray] | None = None,
    waves: str | Path | None = None,
    waves_cycles: int = CYCLES,
    **options,
) -> Report:
    """Run ``design`` on ``x`` and compare every tensor of every layer with the reference.

    Compared is also what the artifact says of inputs, outputs and layers: shapes, types, exponents
    and tables of pixels.

    Parameters
    ----------
    x : what ``simulate`` takes
    device : one of the back end's, by default the closest to hardware; the array has "functional"
        and "rtl"
    expected : tensors by name, if not the reference's
    waves : file of all signals, ``.fst`` or ``.vcd``, which a second run records
    waves_cycles : how many cycles: around the first difference, or from the start without one
    options : of the device; for "rtl" see ``sim.rtl.execute``
    """
    devices = design.backend.devices
    device = device or devices[-1]
    if device not in devices:
        raise ValueError(f"verify: device must be one of {', '.join(devices)}, not '{device}'")
    if waves is not None:
        check_waves(design, device, waves, waves_cycles)
    x = integers(design.graph, x)
    lowered = design.backend.lower(design.graph)
    expected = expected or reference(lowered, x) | reference(design.graph, x)
    execution = design.backend.run(
        design.artifact, x, device, tensors=True, built=design.built, **options
    )
    claims = design.backend.claims(design.artifact)
    said = compare_claims(claims, graph_claims(design.graph, lowered))
    # In the order of the data: what is wrong with an input is told before what follows from it.
    inputs = [report for report in said if report.op == "input"]
    others = [report for report in said if report.op != "input"]
    report = Report(
        device=device,
        layers=(*inputs, *compare(execution, expected, design.graph, lowered), *others),
        failure=execution.failure or execution.broken,
        run_cycles=execution.cycles or (),
        layer_cycles=execution.layer_cycles,
        cycles_per_second=execution.cycles_per_second,
        build_seconds=execution.build_seconds,
    )
    if waves is None:
        return report
    # Again, as the fast simulator cannot record, and only now it is known what is worth seeing.
    recorded = record_waves(design, x, device, waves, waves_cycles, report, **options)
    return replace(report, waves=recorded)


def expected_tensors(
    graph: Graph, x: Arrays, backend: Backend | None = None
) -> dict[str, np.ndarray]:
    """The reference's tensors, and those of nodes that only the back end's lowering makes."""
    backend = backend or named(DEFAULT)
    return reference(backend.lower(graph), x) | reference(graph, x)
