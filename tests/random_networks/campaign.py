"""Random networks by their numbers, in processes; each result is a line of a file.

A campaign that is stopped goes on where it was when it is started again with the same file.
"""

import json
import os
import random
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from functools import cache
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path

from tests.quicker import quicker
from tests.replay import draw

LOOKS_SECONDS = 5  # between looks whether the campaign is still there
# Networks that a process takes at a time and captures together. In RTL capture is little of all.
AT_ONCE = {"functional": 16, "rtl": 4}
TARGETS = {"functional": ("functional",), "rtl": ("functional", "rtl")}
PASSED, REFUSED, FAILED = "passed", "refused", "failed"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one network.

    Members
    -------
    result : PASSED, REFUSED where no configuration holds it, or FAILED
    values : compared on the devices, each with the reference's
    kinds : what it was put together from, and what the compiled network has
    target : the name of the configuration
    error : why it failed
    """

    number: int
    result: str
    seconds: float
    values: int = 0
    kinds: tuple[str, ...] = ()
    target: str | None = None
    error: str | None = None


def run_campaign(device: str, networks: int, seed: int, jobs: int, file: Path) -> list[Result]:
    """The results of the first ``networks`` that a configuration holds, and of those in between."""
    results = read_results(file)
    done = {each.number for each in results}
    missing = (number for number in count() if number not in done)
    with _workers(jobs) as workers, file.open("a") as lines:
        for each in _results(workers, device, seed, missing, networks - _held(results), jobs):
            results.append(each)
            lines.write(json.dumps(asdict(each)) + "\n")
            lines.flush()
    return results


def read_results(file: Path) -> list[Result]:
    """What a file has so far; a last line that was cut off is left out."""
    if not file.exists():
        return []
    text = file.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole)
    made = (json.loads(line) for line in whole.splitlines())
    return [Result(**{**each, "kinds": tuple(each["kinds"])}) for each in made]


def _held(results):
    return sum(each.result != REFUSED for each in results)


def _results(workers, device, seed, missing, wanted, jobs) -> Iterator[Result]:
    """Results as they come, until so many networks are held by a configuration."""
    running, at_once = set(), AT_ONCE[device]
    while wanted > 0 or running:
        # As many as are wanted, and no more than keep the processes busy.
        while wanted > len(running) * at_once and len(running) < 2 * jobs:
            running.add(workers.submit(some, device, seed, [*islice(missing, at_once)]))
        ended, running = wait(running, return_when=FIRST_COMPLETED)
        for future in ended:
            found = future.result()
            wanted -= _held(found)
            yield from found


def _workers(jobs):
    # One thread each: the pool fills the cores, and sums of floats keep their order.
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_prepare)


def _prepare():
    import torch

    torch.set_num_threads(1)
    quicker()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: a pool's would wait for work for ever."""
    while os.getppid() == parent:
        time.sleep(LOOKS_SECONDS)
    os._exit(1)


@cache
def _models():
    return draw.module("tests.models", "tests.blocks").models()


def drawn(seed: int, number: int):
    """The network of a number; a seed is a hundred million of them."""
    return _models().pick(random.Random(seed * 100_000_000 + number))


def some(device: str, seed: int, numbers: list[int]) -> list[Result]:
    """The results of some networks."""
    from tests.random_networks.together import captured

    cases = [drawn(seed, number) for number in numbers]
    began = time.monotonic()
    graphs = captured(cases)
    share = _since(began) / len(numbers)
    return [one(device, *each, share) for each in zip(numbers, cases, graphs, strict=True)]


def one(device: str, number: int, case, captured, seconds: float) -> Result:
    """The result of one network, whose capture has taken some seconds."""
    from tests.random_networks.chain import hold
    from tests.random_networks.configs import functional_targets, rtl_targets

    targets = (functional_targets if device == "functional" else rtl_targets)(number)
    began, found, error = time.monotonic(), None, None
    try:
        found = hold(case, targets, 1 + number % 3, TARGETS[device], captured)
    except Exception:
        error = traceback.format_exc()
    facts = {"kinds": case.kinds, "error": error} if found is None else asdict(found)
    result = FAILED if error else REFUSED if found is None else PASSED
    seconds = round(seconds + _since(began), 3)
    return Result(number=number, result=result, seconds=seconds, **facts)


def _since(began):
    return time.monotonic() - began
