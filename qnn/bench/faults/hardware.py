"""Faults of the generated Verilog: what ``verify`` finds of them, and a proof of some others."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from hw.spec.verilog_files import simulation_texts
from qnn.bench.faults.outcome import PlantedFault
from qnn.bench.faults.outcome_file import campaign_digest
from qnn.bench.faults.unseen_by_programs import is_proved
from qnn.design import Design
from qnn.eda.mutants import VerilogMutant, plant
from qnn.eda.same_behaviour import same_behaviour
from qnn.eda.unseen_faults import unseen_faults
from qnn.errors import DeviceError
from qnn.ir.encode import Arrays
from sim.runner import SimulationFailed
from sim.verification import Report
from sim.verify import verify

# A fault may cost some cycles and not hang; what waits for ever is known after so many.
SLACK = 4  # times the cycles of the sound design
START_CYCLES = 2_000  # more, for runs that end with an error almost at once
HARDWARE = "rtl"
PLANTED = "rtl/mutants.v"


class HardwareFaults:
    """Mutants of a design's Verilog.

    Of those that the plain run does not find, Yosys proves that some can be seen at no pin. The
    others are tried thoroughly, and what survives may have a proof of ours, or is compared with the
    sound module. A fault of hardware is in every layer, so that the layer to name is the first that
    has a wrong value or does not end: localised is what names one. No run may take many more cycles
    than that of the sound design: a mutant that hangs is found.

    Parameters
    ----------
    design : that passes ``verify`` on ``x``
    count, seed : how many mutants, and what draws them
    work : folder for the file that chooses the mutant
    """

    def __init__(self, design: Design, x: Arrays, count: int, seed: int, work: Path):
        self._choice, self._x = work / "mutant.hex", x
        texts = simulation_texts(design.backend.files(design.artifact))
        self._planted = plant(texts, count, seed, self._choice.resolve())
        self._faulty = replace(design, built={PLANTED: self._planted.verilog.encode()})
        self.faults = [str(mutant) for mutant in self._planted.mutants]
        self.digest = campaign_digest(
            each.encode() for each in ("hardware", *texts.values(), *self.faults)
        )

    def judge(self, number: int) -> PlantedFault:
        """What becomes of the mutant of a number, from 0.

        Raises
        ------
        RuntimeError
            The design fails without a mutant.
        """
        mutant, limit = self._planted.mutants[number], _limit(self._plain)
        outcome = _judged(mutant, lambda: self._verify(mutant.number, limit=limit))
        if outcome.found is not None:
            return outcome
        # Before trials: what no pin can show they could not find.
        if mutant.number in self._unseen:
            return replace(outcome, equivalent=True)
        limits = {name: _limit(report, limit) for name, report in self._thorough.trials}
        options = {"limit": limit, "trial_limits": limits}
        outcome = _judged(mutant, lambda: self._verify(mutant.number, thorough=True, **options))
        if outcome.found is not None:
            return outcome
        proved = is_proved(mutant) or same_behaviour(self._planted, mutant)
        return replace(outcome, equivalent=proved)

    @cached_property
    def _unseen(self) -> frozenset[int]:
        return unseen_faults(self._planted)

    @cached_property
    def _plain(self) -> Report:
        return self._sound()

    @cached_property
    def _thorough(self) -> Report:
        """Of the sound design, for what it takes; made for the first mutant that needs it."""
        return self._sound(thorough=True)

    def _sound(self, **options):
        sound = self._verify(0, **options)
        # A trial that fails by itself would count every mutant as found.
        if not sound.passed:
            raise RuntimeError(f"the design must pass without a fault, but gave {sound}")
        return sound

    def _verify(self, chosen, **options):
        # The executable is the same for all: it reads at its start which fault it has; 0 is none.
        self._choice.write_text(f"{chosen:x}\n")
        return verify(self._faulty, self._x, HARDWARE, **options)


def _limit(report: Report, least: int = 0) -> int:
    """Cycles after which a run hangs that the sound design made in those of a report."""
    # A run that must end with an error says no cycles, and is one of the plain network's.
    return max([least, *(SLACK * cycles + START_CYCLES for cycles in report.run_cycles)])


def _judged(mutant: VerilogMutant, check: Callable[[], Report]) -> PlantedFault:
    fault, module = str(mutant), mutant.module
    try:
        report = check()
    except (DeviceError, SimulationFailed) as error:
        return PlantedFault(fault, module, found=_last_line(error))
    if report.passed:
        return PlantedFault(fault, module, found=None)
    # The plain run's own report comes first, and then those of the thorough trials.
    wrong = next((layer for layer in report.all_layers if not layer.passed), None)
    # What stands for the end of a run is no layer.
    named = wrong is not None and wrong.op != "trial"
    return PlantedFault(fault, module, found=_last_line(report), localised=named)


def _last_line(found) -> str:
    """Of a report the first difference, where there is one; of a log the error that it tells."""
    lines = str(found).strip().splitlines()
    return next((line for line in reversed(lines) if "Error: " in line), lines[-1]).strip()
