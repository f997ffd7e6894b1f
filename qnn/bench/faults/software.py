"""Faults of the compiler and of the simulators without a clock, each in a process of its own."""

import importlib.abc
import importlib.util
import json
import os
import select
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from qnn.bench.faults.outcome import PlantedFault
from qnn.bench.faults.outcome_file import campaign_digest
from qnn.bench.faults.python_mutants import PythonMutant, draw
from qnn.bench.faults.trials import FaultTrial

ROOT = Path(__file__).parents[3]
FILES = ("qnn/compiler/*.py", "sim/functional*.py", "qnn/ir/reference.py", "qnn/ir/exact.py")
OURS = ("qnn", "sim", "hw")  # packages that a mutant's process imports anew
SECONDS = 60  # after which a mutant hangs: all trials together take about one


@dataclass(frozen=True)
class Seen:
    """What one trial of a mutant showed.

    Members
    -------
    ended : why nothing could be compared, in one line; None if values were
    passed : whether ``verify`` found nothing
    layer : that ``verify`` names
    programs : digest of what each layer's instructions are, by layer, in order
    """

    ended: str | None
    passed: bool
    layer: str | None
    programs: dict[str, str]


class SoftwareFaults:
    """Mutants of the compiler and of the simulators without a clock.

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
        self._trials = trials
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
            The trials fail without a mutant.
        """
        mutant = self._mutants[number]
        return _judged(mutant, _watched(mutant, self._trials), self._sound)

    @cached_property
    def _sound(self) -> list[Seen]:
        """What the trials show without a mutant."""
        # A trial that fails by itself would count every mutant as found.
        sound = _watched(None, self._trials)
        if not isinstance(sound, list) or not all(seen.passed for seen in sound):
            raise RuntimeError(f"the trials must pass without a fault, but gave {sound}")
        return sound


def _judged(mutant, seen, sound) -> PlantedFault:
    if not isinstance(seen, list):
        return PlantedFault(str(mutant), mutant.path, found=seen)
    for one, right in zip(seen, sound, strict=True):
        if one.ended is not None:
            return PlantedFault(str(mutant), mutant.path, found=one.ended)
        if not one.passed:
            right_layer = _first_changed(one.programs, right.programs)
            # A simulator's fault changes no program: the right layer is the one that is wrong.
            right_one = one.layer is not None and right_layer in (None, one.layer)
            text = f"verify names {one.layer}" + ("" if right_one else f", not {right_layer}")
            return PlantedFault(str(mutant), mutant.path, found=text, localised=right_one)
    return PlantedFault(str(mutant), mutant.path, found=None)


def _first_changed(programs, right):
    return next((name for name, text in right.items() if programs.get(name) != text), None)


def _watched(mutant: PythonMutant | None, trials) -> list[Seen] | str:
    """What the trials show in a process of its own; a line if it hangs or dies."""
    # A process of its own: a mutant may hang, die, or leave modules half changed.
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of the parent's must be flushed or closed twice.
        try:
            os.close(reader)
            _run(mutant, trials, writer)
        finally:
            os._exit(0)
    os.close(writer)
    try:
        return _told(reader)
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _told(reader):
    text = b""
    while True:
        ready, _, _ = select.select([reader], [], [], SECONDS)
        if not ready:
            return f"it hangs for {SECONDS} s"
        part = os.read(reader, 1 << 16)
        if not part:
            break
        text += part
    return [Seen(**each) for each in json.loads(text)] if text else "its process died"


def _run(mutant, trials, writer):
    # A mutant's own prints and warnings are nobody's.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    # What the parent has imported is sound: all of it is imported again.
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    if mutant is not None:
        sys.meta_path.insert(0, _Finder(mutant))
    seen = [asdict(_tried(trial)) for trial in trials]
    os.write(writer, json.dumps(seen).encode())


def _tried(trial: FaultTrial) -> Seen:
    # Whatever a mutant does is what it is found by, so that no exception is too broad.
    try:
        from qnn.bench.faults.run_trial import run_trial

        return Seen(None, *run_trial(trial))
    except Exception as error:
        return Seen(f"{type(error).__name__}: {error}".partition("\n")[0], False, None, {})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports the mutant's text in the place of its file."""

    def __init__(self, mutant: PythonMutant):
        self.mutant = mutant
        self.name = mutant.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    def find_spec(self, fullname, path, target=None):
        if fullname != self.name:
            return None
        file = str(ROOT / self.mutant.path)
        places = [str(Path(file).parent)] if file.endswith("__init__.py") else None
        return importlib.util.spec_from_file_location(
            fullname, file, loader=self, submodule_search_locations=places
        )

    def get_filename(self, fullname):
        return str(ROOT / self.mutant.path)

    def get_data(self, path):
        return self.mutant.text.encode()
