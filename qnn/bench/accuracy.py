"""Carries out runs that the results file does not have yet, one line for each."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from qnn.bench import results
from qnn.bench.images import image_task
from qnn.bench.language import language_task
from qnn.bench.machine import commit, machine
from qnn.bench.methods import MethodRun, definition
from qnn.bench.results import Result
from qnn.bench.runs import LANGUAGE_MODELS
from qnn.bench.table_run import TableRun

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
    definitions = {run.name: definition(run) for run in runs}
    known = results.of_runs(results.read(out), definitions)
    tasks = {}
    for run in runs:
        if run.name in known:
            yield run, known[run.name], False
            continue
        if run.model not in tasks:
            load = language_task if run.model in LANGUAGE_MODELS else image_task
            # Runs of one model follow each other, so that each is loaded once.
            tasks = {run.model: load(run.model, folder)}  # the one before is let go
        place = work_folder(out, run, definitions[run.name])
        result = _measure(run, definitions[run.name], tasks[run.model], place, bar)
        results.append(out, result)
        shutil.rmtree(place, ignore_errors=True)
        # The folder of all runs goes with the last of them.
        if not any(place.parent.iterdir()):
            place.parent.rmdir()
        yield run, result, True


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
