"""Carries out runs that the results file does not have yet, one line for each."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache, partial
from pathlib import Path

from qnn.bench import results
from qnn.bench.images import image_task
from qnn.bench.language import language_task
from qnn.bench.machine import commit, machine
from qnn.bench.methods import MethodRun, definition
from qnn.bench.results import Result
from qnn.bench.runs import LANGUAGE_MODELS
from qnn.bench.table_run import TableRun
from qnn.errors import ModelError
from qnn.farm.farm import Farm

Report = Callable[[int, int], None]  # done, in all
Bar = Callable[[str], AbstractContextManager[Report]]  # a progress bar with that text


def carry_out(
    runs: Sequence[TableRun], out: Path, folder: Path | None, bar: Bar
) -> Iterator[tuple[TableRun, Result, bool]]:
    """Each run with its result, and whether it was measured now or stood in ``out`` already.

    An interrupted run goes on from its method's own checkpoint, in ``OUT.work`` beside ``out``.

    Raises
    ------
    ModelError
        The data folder lacks something, or ``out`` holds something else.
    """
    known = _known(runs, out)
    for run in runs:
        if run.name in known:
            yield run, known[run.name], False
        else:
            yield run, _kept(out, run, measure_run(out, folder, bar, run)), True


def carry_out_on(
    farm: Farm, runs: Sequence[TableRun], out: Path, folder: Path | None, report: Report
) -> Iterator[tuple[TableRun, Result, bool]]:
    """The same by the workers of a farm, those first that ``out`` has, the others as they end.

    Parameters
    ----------
    report : told the runs done, of all

    Raises
    ------
    ModelError
        As for ``carry_out``, of any run, after all others have ended.
    """
    known = _known(runs, out)
    yield from ((run, known[run.name], False) for run in runs if run.name in known)
    left = [run for run in runs if run.name not in known]
    # Of workers, which may run elsewhere: the same names under any current folder.
    places = out.absolute(), folder and folder.absolute()
    failures = []
    # At once, as a bar without a total says nothing.
    report(len(known), len(runs))
    for ended, done in enumerate(farm.run(partial(measure_run, *places, no_bar), left), 1):
        report(len(known) + ended, len(runs))
        if done.failure is None:
            yield done.item, _kept(out, done.item, done.result), True
        else:
            failures.append(f"{done.item.name}: {done.failure}")
    # At the end, so that one run costs no other.
    if failures:
        raise ModelError(
            f"bench accuracy: {len(failures)} of {len(runs)} runs failed; {'; '.join(failures)}"
        )


@contextmanager
def no_bar(_text: str) -> Iterator[Report]:
    """Stands for a bar where nobody looks."""
    yield lambda _done, _total: None


def measure_run(out: Path, folder: Path | None, bar: Bar, run: TableRun) -> Result:
    """Measure a run; it goes on from what its folder beside ``out`` has."""
    defined = definition(run)
    task = _task(run.model, folder)
    return _measure(run, defined, task, work_folder(out, run, defined), bar)


# Runs of one model follow each other, so that each is loaded once; the one before is let go.
@lru_cache(maxsize=1)
def _task(model, folder):
    load = language_task if model in LANGUAGE_MODELS else image_task
    return load(model, folder)


def _known(runs, out) -> dict[str, Result]:
    return results.of_runs(results.read(out), {run.name: definition(run) for run in runs})


def _kept(out, run, result) -> Result:
    """A new result, once it is on disk and what the run has needed is not."""
    # In this order: a process that ends in between has measured for nothing otherwise.
    results.append(out, result)
    place = work_folder(out, run, result.definition)
    shutil.rmtree(place, ignore_errors=True)
    # The folder of all runs goes with the last of them, unless others are under way in it.
    if place.parent.is_dir() and not any(place.parent.iterdir()):
        place.parent.rmdir()
    return result


def work_folder(out: Path, run: TableRun, defined: dict) -> Path:
    """Where a run keeps checkpoints; another definition has another folder."""
    # Eight digits tell the few definitions of one name apart.
    mark = hashlib.sha256(json.dumps(defined, sort_keys=True).encode()).hexdigest()[:8]
    return out.with_name(f"{out.name}.work") / f"{run.name}-{mark}"


def _measure(run, defined, task, place, bar):
    with bar(run.name) as report:
        work = MethodRun(place, report)
        applied = task.apply(run, work)
    with bar(f"{run.name}: test") as report:
        # Outside of the clock: evaluation is no part of a method's time.
        scores = task.scores(run, applied, report) | task.float_scores()
    found = machine()
    return Result(
        name=run.name,
        group=run.group,
        model=run.model,
        method=run.how.method,
        weight_bits=run.weight_bits,
        activation_bits=applied.activation_bits,
        terms=run.terms,
        mean_terms=applied.mean_terms,
        cycles=applied.cycles,
        seed=run.seed,
        steps=applied.steps,
        seconds=round(work.clock.seconds, 2),
        codes_before=applied.codes_before,
        threads=found.threads,
        torch_version=found.torch_version,
        machine=found.to_fields(),
        commit=commit(),
        definition=defined,
        **scores,
    )
