"""Runs jobs on both cores and tells how far they are."""

import sys
import tempfile
import time
from functools import cache, partial
from importlib import import_module
from pathlib import Path

from qnn.farm.farm import Farm
from tests.quicker import quicker
from tests.replay import product
from tests.replay.artifact import Artifact
from tests.replay.jobs import build_jobs, network_jobs


def replay(quick: bool, chosen: list[str], processes: int) -> dict[str, Artifact]:
    """Every artifact of the jobs whose names begin with one of ``chosen``, or of all."""
    builds = {n: job for n, job in build_jobs(quick).items() if _is_chosen(n, chosen)}
    needed = [name.split("/", 1)[1] for name in builds]
    graphs = {
        name: job
        for name, job in network_jobs(quick).items()
        if _is_chosen(name, chosen) or _is_needed(name, needed)
    }
    with tempfile.TemporaryDirectory() as folder, Farm(processes) as workers:
        artifacts = {}
        for jobs in (graphs, builds):
            artifacts |= _run(workers, jobs, Path(folder))
    return artifacts


def _is_chosen(name, chosen):
    return not chosen or any(f"{name}/".startswith(f"{part}/") for part in chosen)


def _is_needed(name, needed):
    network = name.removeprefix("networks/")
    return any(
        f"{part}/".startswith((f"{network}/", f"{product.SERIAL}/{network}/")) for part in needed
    )


@cache
def _prepare():
    """Once in each worker."""
    # Loaded before, as what makes torch quicker is for a torch that is there.
    import_module("torch")
    quicker()


def _made(folder, named):
    """What a worker does: the artifacts of a job."""
    _prepare()
    _, job = named
    return job(folder)


def _run(workers, jobs, folder):
    began, artifacts = time.monotonic(), {}
    for count, done in enumerate(workers.run(partial(_made, folder), jobs.items()), 1):
        name, _ = done.item
        if done.failure:
            raise RuntimeError(f"{name}: {done.failure}\n{done.trace or ''}")
        artifacts |= done.result
        elapsed = time.monotonic() - began
        line = f"{count:4}/{len(jobs)} {elapsed:5.0f} s  {name} ({done.seconds:.1f} s)"
        print(line, file=sys.stderr, flush=True)
    return artifacts
