"""Faults of the generated Verilog: what ``verify`` finds of them, and a proof of some others."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from hw.spec.verilog_files import simulation_texts
from qnn.bench.faults.outcome import PlantedFault
from qnn.design import Design
from qnn.eda.mutants import VerilogMutant, plant
from qnn.eda.same_behaviour import same_behaviour
from qnn.errors import DeviceError
from qnn.ir.encode import Arrays
from sim.runner import SimulationFailed
from sim.verification import Report
from sim.verify import verify

SLACK = 4  # times the cycles of the sound design, after which a run hangs
HARDWARE = "rtl"
PLANTED = "rtl/mutants.v"


def hardware_faults(
    design: Design, x: Arrays, count: int, seed: int, work: Path
) -> Iterator[PlantedFault]:
    """What became of ``count`` mutants of a design's Verilog.

    Those that the plain run does not find are tried thoroughly, and what survives that is compared
    with the sound module by Yosys. A fault of hardware is in every layer, so that the layer to name
    is the first that has a wrong value or does not end: localised is what names one.

    Parameters
    ----------
    work : folder for the file that chooses the mutant

    Raises
    ------
    RuntimeError
        The design fails without a mutant.
    """
    choice = work / "mutant.hex"
    texts = simulation_texts(design.backend.files(design.artifact))
    planted = plant(texts, count, seed, choice.resolve())
    faulty = replace(design, built={PLANTED: planted.verilog.encode()})
    # The executable is the same for all: it reads at its start which fault it has.
    _choose(choice, 0)
    sound = verify(faulty, x, HARDWARE)
    if not sound.passed:
        raise RuntimeError(f"the design must pass without a fault, but gave {sound}")
    # A plain run stalls nowhere, so that little slack tells a run that hangs.
    limit = SLACK * max(sound.run_cycles)
    for mutant in planted.mutants:
        _choose(choice, mutant.number)
        outcome = _judged(mutant, lambda: verify(faulty, x, HARDWARE, limit=limit))
        if outcome.found is None:
            outcome = _judged(mutant, lambda: verify(faulty, x, HARDWARE, thorough=True))
        if outcome.found is None:
            outcome = replace(outcome, equivalent=same_behaviour(planted, mutant))
        yield outcome


def _choose(choice, number):
    """Make the next simulation have the mutant ``number``; 0 is none."""
    choice.write_text(f"{number:x}\n")


def _judged(mutant: VerilogMutant, check: Callable[[], Report]) -> PlantedFault:
    fault, module = str(mutant), mutant.module
    try:
        report = check()
    except (DeviceError, SimulationFailed) as error:
        return PlantedFault(fault, module, found=_last_line(error))
    if report.passed:
        return PlantedFault(fault, module, found=None)
    # The plain run's own report comes first, and then those of the thorough trials.
    failed = next((each for _, each in report.trials if not each.passed), report)
    named = report.first_layer is not None or failed.first_layer is not None
    return PlantedFault(fault, module, found=_last_line(report), localised=named)


def _last_line(found) -> str:
    """Of a report the first difference, where there is one."""
    return str(found).strip().splitlines()[-1].strip()
