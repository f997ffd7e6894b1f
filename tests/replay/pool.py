"""Runs jobs on both cores and tells how far they are."""

import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

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
    with tempfile.TemporaryDirectory() as folder, _workers(processes) as workers:
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


@contextmanager
def _workers(processes):
    # one thread each: the pool fills the cores, and sums of floats keep their order
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_prepare)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare():
    import torch

    torch.set_num_threads(1)
    quicker()


def _timed(job, folder):
    began = time.monotonic()
    return job(folder), time.monotonic() - began


def _run(workers, jobs, folder):
    began, artifacts = time.monotonic(), {}
    names = {workers.submit(_timed, job, folder): name for name, job in jobs.items()}
    for done, future in enumerate(as_completed(names), 1):
        made, seconds = future.result()
        artifacts |= made
        elapsed = time.monotonic() - began
        line = f"{done:4}/{len(names)} {elapsed:5.0f} s  {names[future]} ({seconds:.1f} s)"
        print(line, file=sys.stderr, flush=True)
    return artifacts
