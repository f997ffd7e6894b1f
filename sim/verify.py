"""Holds every tensor of every layer that a device computes to the integer reference."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from qnn.backend.claims import graph_claims
from qnn.design import Design
from qnn.errors import ArgumentError
from qnn.ir.encode import Arrays, encode_input
from sim.compare import compare, compare_claims, named_as_given
from sim.expected import expected_tensors
from sim.record_waves import CYCLES, check_waves, record_waves
from sim.verification import LayerReport, Report


def verify(
    design: Design,
    x: Arrays,
    device: str | None = None,
    *,
    expected: Mapping[str, np.ndarray] | None = None,
    waves: str | Path | None = None,
    waves_cycles: int = CYCLES,
    thorough: bool = False,
    trial_limits: Mapping[str, int] = MappingProxyType({}),
    say: Callable[[int, int], None] = lambda _done, _total: None,
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
    thorough : go on, if that passes, with what else the back end tries: for the array in RTL a
        memory that stalls, resets in the middle of runs, errors of the memory, and networks that
        reach every mode of the configuration. The first that fails is the last
    trial_limits : of a thorough verification, cycles after which a run of the trial of that name
        counts as hung; for others a limit follows from their program
    say : is told the trials done, of all
    options : of the device; for "rtl" see ``sim.rtl.execute``
    """
    devices = design.backend.devices
    device = device or devices[-1]
    if device not in devices:
        raise ArgumentError(f"verify: device must be one of {', '.join(devices)}, not '{device}'")
    if waves is not None:
        check_waves(design, device, waves, waves_cycles)
    x = encode_input(design.graph, x)
    report = _verify(design, x, device, expected, options)
    if waves is not None:
        # Again, as the fast simulator cannot record, and only now it is known what is worth seeing.
        recorded = record_waves(design, x, device, waves, waves_cycles, report, **options)
        report = replace(report, waves=recorded)
    # Trials of a design that fails would say the same again, and one that hangs takes long.
    if not thorough or not report.passed:
        return report
    given = design.graph, design.artifact, x
    trials = list(design.backend.trials(*given, device, design.built))
    found = []
    for number, trial in enumerate(trials):
        say(number, len(trials))
        # A user's limit is for the plain run of the user's network.
        own = {name: value for name, value in options.items() if name != "limit"} | trial.options
        if trial.name in trial_limits:
            own["limit"] = trial_limits[trial.name]
        found.append((trial.name, _try(design, trial, device, own)))
        # As after the plain run: what hangs in one of them hangs in the next ones.
        if not found[-1][1].passed:
            break
    return replace(report, trials=tuple(found))


def _try(design, trial, device, options):
    """The report of a trial."""
    made = replace(design, graph=trial.graph, artifact=trial.artifact)
    if trial.proof is not None:
        return _ended(device, trial.proof())
    if not trial.fails and trial.expected is None:
        return _in_time(_verify(made, trial.inputs, device, None, options), trial.cycles)
    execution = design.backend.run(
        trial.artifact, trial.inputs, device, tensors=trial.fails, built=design.built, **options
    )
    if trial.fails:
        ended = "the run ended well, and not with the error that was made"
        return _ended(device, execution.broken or (None if execution.failure else ended))
    problem = execution.failure or execution.broken or _unequal(execution.outputs, trial.expected)
    return replace(_ended(device, problem), run_cycles=execution.cycles or ())


def _in_time(report, cycles):
    """The report, which has failed if a run took other cycles than it should; None: any."""
    for number, taken in enumerate(report.run_cycles if cycles and report.failure is None else ()):
        if taken != cycles:
            slow = f"run {number} took {taken:,} cycles, not {cycles:,} as the model says"
            return replace(report, failure=slow)
    return report


def _unequal(outputs, expected):
    """The first value that is not as expected, in one line; None if all are."""
    for number, (got, right) in enumerate(zip(outputs, expected, strict=True)):
        wrong = np.argwhere(got != right)
        if len(wrong):
            first = tuple(wrong[0])
            return (
                f"{len(wrong)} of {right.size} values of output {number} are wrong, the first at "
                f"{[int(n) for n in first]}: expected {right[first]}, got {got[first]}"
            )
    return None


def _ended(device, problem):
    """The report of what compares no layer; ``problem`` is what is wrong with it, if anything."""
    # One value stands for it, as what compared nothing has not passed.
    end = LayerReport("run", "trial", 0, 1, int(problem is not None), None, problem, None)
    return Report(device=device, layers=(end,), failure=problem)


def _verify(design, x, device, expected, options):
    lowered = design.backend.lower(design.graph)
    expected = expected or expected_tensors(design.graph, lowered, x)
    execution = design.backend.run(
        design.artifact, x, device, tensors=True, built=design.built, **options
    )
    claims = design.backend.claims(design.artifact)
    said = compare_claims(claims, graph_claims(design.graph, lowered))
    # In the order of the data: what is wrong with an input is told before what follows from it.
    inputs = [report for report in said if report.op == "input"]
    others = [report for report in said if report.op != "input"]
    layers = (*inputs, *compare(execution, expected, design.graph, lowered), *others)
    return Report(
        device=device,
        layers=tuple(named_as_given(layers, design.graph)),
        failure=execution.failure or execution.broken,
        run_cycles=execution.cycles or (),
        layer_cycles=execution.layer_cycles,
        cycles_per_second=execution.cycles_per_second,
        build_seconds=execution.build_seconds,
    )
