"""Faults of the compiler and of the simulators without a clock, each in a process of its own."""

import contextlib
import importlib
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property, partial

from qnn.bench.faults.equivalents import is_equivalent
from qnn.bench.faults.mutant_process import ROOT, with_mutant
from qnn.bench.faults.outcome import PlantedFault
from qnn.bench.faults.outcome_file import campaign_digest
from qnn.bench.faults.own_tests import first_failure, quick_tests, replayed
from qnn.bench.faults.python_mutants import PythonMutant, draw
from qnn.bench.faults.seen import Seen
from qnn.bench.faults.trials import FaultTrial

FILES = ("qnn/compiler/*.py", "sim/functional*.py", "qnn/ir/reference.py", "qnn/ir/exact.py")
SECONDS = 60  # after which a mutant hangs: all trials together take about ten
# Of the time of the sound code, and at least so long: other programs may slow one of both down.
SLACK, LEAST_SECONDS = 4, 60
MOST_SECONDS = 3600  # of the tests of the sound code, on however slow a machine


class SoftwareFaults:
    """Mutants of the compiler and of the simulators without a clock.

    What ``verify`` does not find may still cost cycles or words: a mutant that changes a byte of
    what is compiled, or of its estimate, is one that the replay of accepted bytes finds. On the
    others the quick tests beside the file are run, and what these do not find either may be proved
    to be equivalent.

    Parameters
    ----------
    trials : networks that ``verify`` passes on
    count, seed : how many mutants, and what draws them
    """

    def __init__(self, trials: Sequence[FaultTrial], count: int, seed: int):
        sources = {
            str(path.relative_to(ROOT)): path.read_text()
            for pattern in FILES
            for path in sorted(ROOT.glob(pattern))
        }
        self._trials, self._seconds = trials, {}
        self._mutants = draw(sources, count, seed)
        self.faults = [str(mutant) for mutant in self._mutants]
        self.digest = campaign_digest(
            each.encode() for each in ("software", *sources.values(), *self.faults)
        )

    def judge(self, number: int) -> PlantedFault:
        """What becomes of the mutant of a number, from 0.

        Raises
        ------
        RuntimeError
            The trials or the tests fail without a mutant.
        """
        mutant = self._mutants[number]
        seen, died = _watched(mutant, self._trials)
        outcome = _judged(mutant, seen, died, self._sound)
        if outcome.found is not None:
            return outcome
        same = [one.made for one in seen] == [one.made for one in self._sound]
        test = self._failed_test(mutant) if same else replayed()
        # Tried first: what a test finds is not equivalent, whatever a proof says.
        proved = test is None and same and is_equivalent(mutant)
        return replace(outcome, found_by_test=test, changes_artifacts=not same, equivalent=proved)

    def _failed_test(self, mutant) -> str | None:
        files = quick_tests(mutant.path)
        if not files:
            return None
        test, died = with_mutant(mutant, partial(first_failure, files), self._limit(files))
        return test or died

    @cached_property
    def _sound(self) -> list[Seen]:
        """What the trials show without a mutant."""
        # A trial that fails by itself would count every mutant as found.
        sound, died = _watched(None, self._trials)
        if died or not all(seen.passed for seen in sound):
            raise RuntimeError(f"the trials must pass without a fault, but gave {died or sound}")
        return sound

    def _limit(self, files) -> float:
        """Seconds after which tests of a mutant hang."""
        if files not in self._seconds:
            _import_slow()
            started = time.monotonic()
            test, died = with_mutant(None, partial(first_failure, files), MOST_SECONDS)
            if test or died:
                raise RuntimeError(f"the tests must pass without a fault, but gave {test or died}")
            self._seconds[files] = time.monotonic() - started
        return max(LEAST_SECONDS, SLACK * self._seconds[files])


def _import_slow():
    """Import what tests need and take seconds for, once for all processes that are forked."""
    for name in ("torch", "hypothesis"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _judged(mutant, seen, died, sound) -> PlantedFault:
    if died is not None:
        return PlantedFault(str(mutant), mutant.path, found=died)
    # Trials end with the first that finds it.
    for one, right in zip(seen, sound, strict=False):
        if one.line is not None:
            place = one.localised(right)
            return PlantedFault(str(mutant), mutant.path, found=one.line, localised=place)
    return PlantedFault(str(mutant), mutant.path, found=None)


def _watched(mutant: PythonMutant | None, trials) -> tuple[list[Seen], str | None]:
    """What the trials show with a mutant, up to one that finds it; a line if it hangs or dies."""
    seen, died = with_mutant(mutant, lambda: _shown(trials), SECONDS)
    return [Seen(**each) for each in seen or ()], died


def _shown(trials):
    shown = []
    for trial in trials:
        one = _tried(trial)
        shown.append(asdict(one))
        if one.line is not None:
            break
    return shown


def _tried(trial: FaultTrial) -> Seen:
    # Whatever a mutant does is what it is found by, so that no exception is too broad.
    try:
        from qnn.bench.faults.run_trial import run_trial

        return run_trial(trial)
    except Exception as error:
        return Seen(f"{type(error).__name__}: {error}".partition("\n")[0])
