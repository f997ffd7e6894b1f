"""What a step of learnt rounding costs beside a step of float training of the same network.

The times of a network come from one fresh process, in which the steps take turns; each peak of
memory comes from a fresh process of its own. ``python -m qnn.bench.rounding_cost`` runs in those.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.bench.fresh_process import measured, peak_mebibytes
from qnn.bench.machine import commit, machine
from qnn.bench.step_networks import STEP_NETWORKS, StepNetwork
from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.nn.round import Source, round_quantized
from qnn.ptq.calibrated import calibrated
from qnn.ptq.teacher import Teacher
from qnn.quant.rounding import Progress

# Of two terms, so that "latent" looks its weights up, which takes longer than for one.
WEIGHT_BITS, ACTIVATION_BITS, TERMS = 3, 8, 2
CALIBRATION = 4  # images, so few that a step takes more memory than they do
WARM_UP, MEMORY_STEPS = 2, 3  # steps
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
WHOLE = ("discquant", "latent")  # methods whose step is one of the whole network
LEARNT = (*WHOLE, "adaround")
FORMS = (*(f"float {name}" for name in FORMATS), *LEARNT)

Step = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class NetworkSteps:
    """The time and memory of a network's steps.

    Members
    -------
    milliseconds : of the CPU, median, by form; of "adaround", a step of each layer, one by one
    mebibytes : the process's peak with the network, over that before it, by form
    time_to_float, memory_to_float : learnt rounding over float training in its faster format
    """

    network: str
    milliseconds: dict[str, float]
    mebibytes: dict[str, float]
    time_to_float: dict[str, float]
    memory_to_float: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class StepCosts:
    """What steps of several networks cost, and on which machine."""

    networks: tuple[NetworkSteps, ...]
    batch: int
    weight_bits: int
    terms: int
    steps: int
    machine: dict
    commit: str | None

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def measure(
    steps: int, batch: int, names: Sequence[str] = tuple(STEP_NETWORKS), progress=None
) -> StepCosts:
    """What steps of ``batch`` images cost the named networks, ``steps`` of each form.

    Raises
    ------
    ToolError
        A process that measures fails.
    """
    found = []
    for name in names:
        milliseconds = _child("time", name, str(batch), str(steps))
        mebibytes = {}
        for form in FORMS:
            mebibytes |= _child("memory", name, str(batch), form)
        found.append(compared(name, milliseconds, mebibytes))
        if progress is not None:
            progress(len(found), len(names))
    return StepCosts(
        networks=tuple(found),
        batch=batch,
        weight_bits=WEIGHT_BITS,
        terms=TERMS,
        steps=steps,
        machine=machine().to_fields(),
        commit=commit(),
    )


def compared(
    name: str, milliseconds: Mapping[str, float], mebibytes: Mapping[str, float]
) -> NetworkSteps:
    """The costs of all forms, with their ratios to float training in its faster format."""
    fastest = min((f"float {each}" for each in FORMATS), key=lambda form: milliseconds[form])
    return NetworkSteps(
        network=name,
        milliseconds=dict(milliseconds),
        mebibytes=dict(mebibytes),
        time_to_float={form: milliseconds[form] / milliseconds[fastest] for form in LEARNT},
        memory_to_float={form: mebibytes[form] / mebibytes[fastest] for form in LEARNT},
    )


def _child(*arguments: str) -> dict[str, float]:
    return measured("bench rounding", "qnn.bench.rounding_cost", *arguments)


@dataclass(eq=False)
class Laps:
    """Called after each step of one kind: others take their turns, and all are timed.

    CPU time, which other processes on the machine hardly change.
    """

    others: Mapping[str, Step]
    spent: dict[str, list[float]] = field(default_factory=dict)
    started: float = 0.0

    def begin(self) -> None:
        """The first step begins now."""
        self.started = time.process_time()

    def after(self, name: str) -> None:
        """A step of ``name`` is done, and the next one begins when this returns."""
        self._add(name, self.started)
        for other, step in self.others.items():
            started = time.process_time()
            step()
            self._add(other, started)
        self.begin()

    def milliseconds(self) -> dict[str, float]:
        """Medians, without the first steps, which allocate and choose kernels."""
        return {
            name: 1000 * statistics.median(values[WARM_UP:]) for name, values in self.spent.items()
        }

    def _add(self, name, started):
        self.spent.setdefault(name, []).append(time.process_time() - started)


def times(network: StepNetwork, steps: int) -> dict[str, float]:
    """Milliseconds of a step in each form."""
    laps = Laps({form: float_step(network, form) for form in FORMS if form not in LEARNT})
    learn = learner(network)
    for method in WHOLE:
        laps.begin()
        learn(method, WARM_UP + steps, lambda *_, method=method: laps.after(method))
    # A layer's steps begin when its operands are known, which takes a time of its own.
    once, more = (_seconds(lambda n=n: learn("adaround", n)) for n in (WARM_UP, WARM_UP + steps))
    return laps.milliseconds() | {"adaround": 1000 * (more - once) / steps}


def _seconds(call):
    started = time.process_time()
    call()
    return time.process_time() - started


def memory(network: StepNetwork, form: str) -> float:
    """Mebibytes that building the network and some steps add to the process's peak."""
    before = peak_mebibytes()
    if form in LEARNT:
        learner(network)(form, MEMORY_STEPS)
    else:
        step = float_step(network, form)
        for _ in range(MEMORY_STEPS):
            step()
    return peak_mebibytes() - before


def float_step(network: StepNetwork, form: str) -> Step:
    """A training step: cross-entropy, its gradient, and Adam."""
    memory_format = FORMATS[form.removeprefix("float ")]
    model = network.module().train().to(memory_format=memory_format)
    x = network.images().contiguous(memory_format=memory_format)
    # As the methods do, whose steps are Adam's too.
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    # Rounding, between whose steps this runs, has gradients switched off.
    @torch.enable_grad()
    def step():
        optimizer.zero_grad()
        outputs = model(x)
        F.cross_entropy(outputs, torch.zeros_like(outputs[:, 0], dtype=torch.int64)).backward()
        optimizer.step()

    return step


def learner(network: StepNetwork) -> Callable[..., None]:
    """Learnt rounding of the quantized network by a method, for a number of steps."""
    images = network.images()
    # Weights are random: what they are changes no time, as all are between two values of the grid.
    model = network.module().eval()
    graph = fuse(capture(model, (images,)))
    formats = (WEIGHT_BITS, ACTIVATION_BITS)
    # Without the search for terms, which is no part of a step.
    start = calibrated(graph, [(images[:CALIBRATION],)], (None,), formats, {}, warn=False)
    source = Source(Teacher(start.graph, [None], "cpu"), (images,), unchanged)

    def learn(method: str, steps: int, progress: Progress | None = None) -> None:
        options = {"steps": steps, "batch": network.batch}
        # Only the images of a step, whose operands a layer keeps.
        more = {"samples": network.batch} if method == "adaround" else {}
        round_quantized(start.build(TERMS, method), source, options | more, progress)

    return learn


def unchanged(x: Tensor, _generator: torch.Generator) -> Tensor:
    """An augmentation that changes nothing: the teacher is asked at each step."""
    return x


def main(arguments: list[str]) -> None:
    """Measure in this process, and print what was found as JSON."""
    kind, name, batch, asked = arguments
    network = replace(STEP_NETWORKS[name], batch=int(batch))
    if kind == "memory":
        found = {asked: memory(network, asked)}
    else:
        found = times(network, int(asked))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
