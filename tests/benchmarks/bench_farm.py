"""What an image costs in RTL by the workers that share the images: ``qnn verify --farm``.

Run as ``python -m tests.benchmarks.bench_farm BUILD --images 16 --workers 1 2``, with nothing
beside it. The simulator is compiled before, and all workers are fresh each time, as those of the
command are. Numbers of workers take turns, so that what else the machine does meets all of them.
"""

import argparse
import os
import resource
import time
from statistics import median

import numpy as np

from qnn.design import Design
from qnn.farm.farm import Farm
from qnn.ir.codes import Codes
from sim.verify import verify
from sim.verify_many import verify_many


def drawn(design: Design, count: int) -> tuple[np.ndarray, ...]:
    """Random codes of each input: what an image shows changes no cycle."""
    numbers = np.random.default_rng(0)
    return tuple(
        numbers.integers(node.type.low, node.type.high + 1, (count, *node.shape)).view(Codes)
        for node in design.graph.inputs
    )


def measured(design: Design, x: tuple[np.ndarray, ...], workers: int) -> tuple[float, float]:
    """Seconds of the clock and of all processors for an image."""
    began, spent = time.perf_counter(), _spent()
    with Farm(workers) as farm:
        (report,) = verify_many([design], [x], "rtl", farm)
    assert report.passed, str(report)
    return (time.perf_counter() - began) / len(x[0]), (_spent() - spent) / len(x[0])


def _spent():
    # Of children that have ended: workers, and their simulators.
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return use.ru_utime + use.ru_stime


def main():
    """Print a line for each number of workers, and one for what the machine did beside."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    design = Design.read(given.build)
    x = drawn(design, given.images)
    single = verify(design, tuple(each[:1] for each in x), "rtl")
    found = {workers: [] for workers in given.workers}
    for _ in range(given.repeats):
        for workers, all_found in found.items():
            all_found.append(measured(design, x, workers))
    print(f"{given.build}: {single.run_cycles[0]:,} cycles an image, {given.images} images")
    for workers, all_found in found.items():
        clock, processors = (median(each) for each in zip(*all_found, strict=True))
        every = ", ".join(f"{each:.2f}" for each, _ in all_found)
        print(
            f"{workers} workers: {clock:.2f} s an image (median of {every}), {processors:.2f} s of "
            f"processors"
        )
    print(f"load of the machine: {', '.join(f'{each:.1f}' for each in os.getloadavg())}")


if __name__ == "__main__":
    main()
