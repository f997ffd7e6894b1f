"""Runs a design on inputs and gives its outputs, on any of the devices that are software."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qnn.backend.waves import Waves
from qnn.design import Design
from qnn.errors import ArgumentError, DeviceError
from qnn.host.named import named
from qnn.host.results import host_results
from qnn.ir.encode import Arrays, as_results, encode_input, output_reals
from qnn.ir.reference import reference
from sim.record_waves import CYCLES, check_waves, record_waves

REFERENCE = "reference"  # the device that every design has: the meaning of its graph


@dataclass(frozen=True, eq=False)
class Simulation:
    """The result of a simulation.

    Members
    -------
    outputs : integers of each output of the network, (images, *shape), before the host computes;
        a tuple with names: those of the user's model, or else of the operators
    exponents : an output's real value is ``integer * 2**-exponent``, in the same order
    results : what the user's model gives, nested as it is: float64, or int64 for classes, after
        what the host computes, such as an argmax or boxes
    cycles : of each run, which computes ``design.artifact.batch`` inputs; None where the device
        has no clock
    layer_cycles : of each layer for one image, which add up to all; empty without a clock
    cycles_per_second, build_seconds : of the RTL simulator, else None
    waves : what was recorded, where it was asked for
    """

    device: str
    outputs: tuple[np.ndarray, ...]
    exponents: tuple[int, ...]
    results: Any
    cycles: tuple[int, ...] | None = None
    layer_cycles: Mapping[str, float] = field(default_factory=dict)
    cycles_per_second: float | None = None
    build_seconds: float | None = None
    waves: Waves | None = None

    def __repr__(self) -> str:
        # The integers themselves would fill the screen.
        shapes = ", ".join(str(output.shape) for output in self.outputs)
        cycles = "" if self.cycles is None else f", {sum(self.cycles)} cycles"
        return f"<Simulation: {self.device}, outputs {shapes}{cycles}>"


def simulate(
    design: Design,
    x: Arrays,
    device: str | None = None,
    *,
    waves: str | Path | None = None,
    waves_cycles: int = CYCLES,
    **options,
) -> Simulation:
    """Run ``design`` on ``x``.

    Parameters
    ----------
    x : (images, channels, height, width), or (vectors, features), as ``encode_input`` takes it:
        floats are reals, uint8 are pixels, and ``qnn.Codes(x)`` integers of the input's type; a
        tuple of such arrays or tensors, where there are several inputs
    device : "reference" or one of the back end's, by default the closest to hardware; the array
        has "functional" and "rtl"
    waves : file of all signals, ``.fst`` or ``.vcd``, which a second run records
    waves_cycles : how many cycles, from the start
    options : of the device; for "rtl" see ``sim.rtl.execute``

    Raises
    ------
    DeviceError
        A run failed or timed out, or the device broke a rule of its own.
    """
    devices = (REFERENCE, *design.backend.devices)
    device = device or devices[-1]
    if device not in devices:
        raise ArgumentError(f"simulate: device must be one of {', '.join(devices)}, not '{device}'")
    if waves is not None:
        check_waves(design, device, waves, waves_cycles)
    x = encode_input(design.graph, x)
    if device == REFERENCE:
        tensors = reference(design.graph, x, outputs_only=True)
        return _simulation(design, device, [tensors[o.name] for o in design.graph.outputs])
    result = design.backend.run(design.artifact, x, device, built=design.built, **options)
    if result.failure or result.broken:
        raise DeviceError(f"{device}: {result.failure or result.broken}")
    recorded = None
    if waves is not None:
        recorded = record_waves(design, x, device, waves, waves_cycles, **options)
    return _simulation(
        design,
        device,
        result.outputs,
        waves=recorded,
        cycles=result.cycles,
        layer_cycles=result.layer_cycles,
        cycles_per_second=result.cycles_per_second,
        build_seconds=result.build_seconds,
    )


def _simulation(design, device, tensors, **measured):
    graph = design.graph
    outputs = [as_results(*pair) for pair in zip(graph.outputs, tensors, strict=True)]
    exponents = [graph[output.name].type.exponent for output in graph.outputs]
    axes = [output.axes for output in graph.outputs]
    results = host_results(output_reals(graph, outputs), axes, graph.host)
    names = graph.output_names
    return Simulation(device, named(outputs, names), named(exponents, names), results, **measured)
