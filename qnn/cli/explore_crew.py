"""Who evaluates designs for ``qnn explore``: this process, its workers, or those of a cluster."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Run = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


@contextmanager
def crew(workers: int | None, ray: str | None) -> Iterator[tuple[Run, int]]:
    """What runs a function over items, and how many at a time.

    Raises
    ------
    ToolError
        Ray, or the cluster, is not there.
    """
    from qnn.explore.work import one_by_one
    from qnn.farm.farm import Farm
    from qnn.farm.threads import threads_of_torch

    count = workers or len(os.sched_getaffinity(0))
    # A worker of its own would load and calibrate the network once more, for nothing.
    if ray is None and count == 1:
        # As a worker computes: sums of floats depend on the number of threads.
        with threads_of_torch(1):
            yield one_by_one, 1
        return
    with Farm(workers=workers, ray=ray) as farm:
        # By default the farm itself knows how many: of a cluster, all its cores.
        yield farm.run, farm.workers
