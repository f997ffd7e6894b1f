"""Random networks by their numbers, in processes; each result is a line of a file.

A campaign that is stopped goes on where it was when it is started again with the same file.
"""

import json
import random
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib import import_module
from itertools import count, islice
from pathlib import Path

from qnn.farm.farm import Farm
from tests.quicker import quicker
from tests.replay import draw

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
    with Farm(jobs) as farm, file.open("a") as lines:
        for each in _results(farm, device, seed, missing, networks - _held(results)):
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


def _results(farm, device, seed, missing, wanted) -> Iterator[Result]:
    """Results as they come, until so many networks are held by a configuration."""
    while wanted > 0:
        # Again for those that no configuration held.
        rounds = range(-(-wanted // AT_ONCE[device]))
        items = [[*islice(missing, AT_ONCE[device])] for _ in rounds]
        for done in farm.run(partial(_some, device, seed), items):
            found = done.result or [_lost(number, done) for number in done.item]
            wanted -= _held(found)
            yield from found


def _some(device, seed, numbers):
    """What a worker does."""
    _prepare()
    return some(device, seed, numbers)


@cache
def _prepare():
    """Once in each worker."""
    # Loaded before, as what makes torch quicker is for a torch that is there.
    import_module("torch")
    quicker()


def _lost(number, done):
    """Of one of the networks over which workers have died."""
    seconds = round(done.seconds / len(done.item), 3)
    return Result(number=number, result=FAILED, seconds=seconds, error=done.failure)


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
