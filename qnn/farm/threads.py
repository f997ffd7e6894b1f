"""How many threads a worker computes with, so that k workers on k cores do not fight.

Sums of floats depend on the number of threads. With the same number in each worker, results do not
depend on how many workers there are.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Of OpenMP, and of the libraries of linear algebra that read a variable of their own.
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def thread_settings(count: int) -> dict[str, str]:
    """The environment of a process that computes with ``count`` threads."""
    return dict.fromkeys(VARIABLES, str(count))


def set_threads(count: int) -> None:
    """Let this process compute with ``count`` threads."""
    os.environ |= thread_settings(count)
    # torch reads the variables once, when it is loaded.
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


@contextmanager
def threads_of_torch(count: int) -> Iterator[None]:
    """Let torch compute with ``count`` threads in this process, and then as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
