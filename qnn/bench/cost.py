"""What a training step on the grid costs, in time and memory, beside float and beside Brevitas.

All times come from one fresh process, in which the forms take turns; each peak of memory comes
from a fresh process of its own. ``python -m qnn.bench.cost`` is what runs in those.
"""

import importlib
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass

from qnn.bench import rival
from qnn.bench.fresh_process import measured, peak_mebibytes
from qnn.bench.machine import commit, machine
from qnn.bench.steps import BATCH, MODEL, SETUPS, WEIGHT_BITS, Setup, Step, step

# The first step allocates and chooses kernels, the second may still; from the third on all are
# alike.
WARM_UP, MEMORY_STEPS = 2, 3  # steps
FASTEST_RIVAL = {"BREVITAS_JIT": "1"}  # Brevitas compiles its quantizers where it is told to


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The time and memory of a training step in one form.

    Members
    -------
    milliseconds : median; None: not measured
    mebibytes : the process's peak with the network, over that before it; None: not measured
    skipped : why it was not measured
    """

    network: str
    precision: str
    memory_format: str
    milliseconds: float | None = None
    mebibytes: float | None = None
    skipped: str | None = None


@dataclass(frozen=True, kw_only=True)
class FormCosts:
    """The costs of all forms, and their ratios, each network in its faster memory format.

    Members
    -------
    time_to_float, memory_to_float : ours over float, by precision
    time_to_brevitas, memory_to_brevitas : likewise; None: it was skipped
    """

    model: str
    weight_bits: int
    batch: int
    steps: int
    threads: int
    costs: tuple[Cost, ...]
    time_to_float: dict[str, float | None]
    memory_to_float: dict[str, float | None]
    time_to_brevitas: dict[str, float | None]
    memory_to_brevitas: dict[str, float | None]
    machine: dict
    commit: str | None

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def measure(steps: int, setups: tuple[Setup, ...] = SETUPS, progress=None) -> FormCosts:
    """Costs of every form, ``steps`` steps of each.

    Raises
    ------
    ToolError
        A process that measures fails.
    """
    skipped = rival.missing()
    # The table keeps a row for what was skipped, with the reason.
    chosen = [setup for setup in setups if not (skipped and setup.network == "brevitas")]
    milliseconds = _child("time", str(steps), *(setup.name for setup in chosen))
    mebibytes = {}
    for done, setup in enumerate(chosen, 1):
        mebibytes |= _child("memory", setup.name)
        if progress is not None:
            progress(done, len(chosen))
    costs = tuple(
        Cost(
            **asdict(setup),
            milliseconds=milliseconds.get(setup.name),
            mebibytes=mebibytes.get(setup.name),
            skipped=None if setup in chosen else skipped,
        )
        for setup in setups
    )
    found = machine()
    return FormCosts(
        model=MODEL,
        weight_bits=WEIGHT_BITS,
        batch=BATCH,
        steps=steps,
        threads=found.threads,
        costs=costs,
        time_to_float=_ratios(costs, "float", "milliseconds"),
        memory_to_float=_ratios(costs, "float", "mebibytes"),
        time_to_brevitas=_ratios(costs, "brevitas", "milliseconds"),
        memory_to_brevitas=_ratios(costs, "brevitas", "mebibytes"),
        machine=found.to_fields(),
        commit=commit(),
    )


def best(costs: tuple[Cost, ...], network: str, precision: str) -> Cost | None:
    """The fastest form of a network at a precision."""
    forms = [
        cost
        for cost in costs
        if (cost.network, cost.precision) == (network, precision) and cost.milliseconds is not None
    ]
    return min(forms, key=lambda cost: cost.milliseconds, default=None)


def _ratios(costs, other, what):
    ratios = {}
    for precision in dict.fromkeys(cost.precision for cost in costs):
        ours, theirs = best(costs, "quantized", precision), best(costs, other, precision)
        both = ours is not None and theirs is not None
        ratios[precision] = getattr(ours, what) / getattr(theirs, what) if both else None
    return ratios


def _child(*arguments) -> dict[str, float]:
    """What a fresh process measures, by the name of the form."""
    return measured("bench training", "qnn.bench.cost", *arguments, settings=FASTEST_RIVAL)


def times(steps: dict[str, Step], count: int) -> dict[str, float]:
    """The median milliseconds of each step; steps take turns, in an order that rotates."""
    spent = {name: [] for name in steps}
    names = list(steps)
    for turn in range(WARM_UP + count):
        shift = turn % len(names)
        # Rotated, so that no form always follows the same one, whose data it finds in the cache.
        for name in names[shift:] + names[:shift]:
            started = time.perf_counter()
            steps[name]()
            spent[name].append(1000 * (time.perf_counter() - started))
    # A median: another process on the machine slows single steps down.
    return {name: statistics.median(values[WARM_UP:]) for name, values in spent.items()}


def memory(setup: Setup) -> float:
    """Mebibytes that building the network and some steps add to the process's peak."""
    if setup.network == "brevitas":
        importlib.import_module("brevitas.nn")  # its code is no cost of the network
    before = peak_mebibytes()
    run = step(setup)
    for _ in range(MEMORY_STEPS):
        run()
    return peak_mebibytes() - before


def main(arguments: list[str]) -> None:
    """Measure in this process, and print what was found as JSON."""
    by_name = {setup.name: setup for setup in SETUPS}
    kind, *rest = arguments
    if kind == "memory":
        found = {name: memory(by_name[name]) for name in rest}
    else:
        count, *names = rest
        found = times({name: step(by_name[name]) for name in names}, int(count))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
