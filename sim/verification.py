"""What a verification found: values that differ, layer by layer, and how the run ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qnn.backend.execution import LayerCycles
from qnn.backend.waves import Waves

PORTS = ("input", "output")  # kinds of tensors that a user gives or takes


def of_results(labels: tuple[str, ...]) -> str:
    """What a person reads behind the name of an output's tensor; nothing where there is one."""
    if not labels:
        return ""
    return f" (result{'s' * (len(labels) > 1)} {', '.join(labels)})"


@dataclass(frozen=True)
class Difference:
    """A value that is not as expected; ``got`` is None if it was never written."""

    layer: str
    image: int
    channel: int
    row: int
    column: int
    expected: int
    got: int | None
    cycle: int | None  # of the write, where the device has cycles
    results: tuple[str, ...] = ()  # keys of what the user's model gives that the layer leads to

    def __str__(self) -> str:
        got = "nothing was written" if self.got is None else f"got {self.got}"
        when = "" if self.cycle is None else f" in cycle {self.cycle}"
        return (
            f"layer '{self.layer}'{of_results(self.results)}, image {self.image}, "
            f"channel {self.channel}, row {self.row}, column {self.column}: "
            f"expected {self.expected}, {got}{when}"
        )


@dataclass(frozen=True)
class LayerReport:
    """The comparison of one layer of one image, or of one output in memory (``op`` is ``store``).

    For a layer in strips it counts the values of every strip; rows of two strips count twice. What
    an artifact says of an input or output (``op``) has a report where that is wrong.
    """

    name: str
    op: str
    image: int
    values: int
    mismatches: int  # values that differ or were never written, and writes outside the tensor
    first: Difference | None
    problem: str | None  # beyond values: the layer hung, or wrote where it must not
    cycles: LayerCycles | None
    results: tuple[str, ...] = ()  # of an output: its keys in what the user's model gives

    @property
    def title(self) -> str:
        """What it is the report of, for people."""
        if self.op in PORTS:
            return f"{self.op} '{self.name}'{of_results(self.results)}"
        return f"layer '{self.name}'{of_results(self.results)}, image {self.image}"

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with the layer."""
        return not self.mismatches and self.problem is None


@dataclass(frozen=True)
class Report:
    """What ``verify`` found; ``layers`` are in the order in which they run, image by image."""

    device: str
    layers: tuple[LayerReport, ...]
    failure: str | None  # the run did not end, or ended with an error
    run_cycles: tuple[int, ...] = ()  # of each run of the image, from start to done
    # Of each layer for one image, which add up to all; empty where the device has no clock.
    layer_cycles: Mapping[str, float] = field(default_factory=dict)
    cycles_per_second: float | None = None  # of the simulator
    build_seconds: float | None = None  # 0 if cached
    waves: Waves | None = None  # where they were asked for
    trials: tuple[tuple[str, "Report"], ...] = ()  # of a thorough one: names and their reports

    def __repr__(self) -> str:
        # str has each layer.
        verdict = "passed" if self.passed else "failed"
        counts = f"{self.mismatches} of {self.values_compared} values differ"
        return f"<Report: {self.device}, {verdict}, {counts}>"

    @property
    def all_layers(self) -> tuple[LayerReport, ...]:
        """The layers, and then those of the trials."""
        return (*self.layers, *(layer for _, trial in self.trials for layer in trial.layers))

    @property
    def mismatches(self) -> int:
        """The mismatches of all layers together, trials included."""
        return sum(layer.mismatches for layer in self.all_layers)

    @property
    def values_compared(self) -> int:
        """The values of all layers together, trials included."""
        return sum(layer.values for layer in self.all_layers)

    @property
    def outputs(self) -> tuple[LayerReport, ...]:
        """What each output's tensor was compared with as memory holds it, image by image."""
        return tuple(layer for layer in self.layers if layer.op == "store")

    @property
    def first(self) -> Difference | None:
        """The first difference of the first layer that has one."""
        return next((layer.first for layer in self.all_layers if layer.first), None)

    @property
    def first_layer(self) -> str | None:
        """The first layer with anything wrong."""
        return next((layer.name for layer in self.all_layers if not layer.passed), None)

    @property
    def failed_trial(self) -> tuple[str, "Report"] | None:
        """Name and report of the first trial that did not pass."""
        return next((trial for trial in self.trials if not trial[1].passed), None)

    @property
    def passed(self) -> bool:
        """Whether every value is there and right, and every run ended as it should."""
        own = bool(self.values_compared) and not self.failure and self.first_layer is None
        return own and self.failed_trial is None

    def __str__(self) -> str:
        verdict = "PASS" if self.passed else "FAIL"
        lines = [f"verify: {verdict} {self.mismatches}/{self.values_compared} mismatches"]
        wrong = self
        if self.trials:
            lines[0] += f" in {1 + len(self.trials)} runs"
        if self.failed_trial:
            name, wrong = self.failed_trial
            lines.append(f"  with {name}:")
        return "\n".join([*lines, *wrong.findings])

    @property
    def findings(self) -> list[str]:
        """What is wrong in this run, a line each: how it ended, what a layer lacks, a value."""
        lines = [self.failure] if self.failure else []
        problem = next((layer for layer in self.layers if layer.problem), None)
        if problem:
            lines.append(f"{problem.title}: {problem.problem}")
        first = next((layer.first for layer in self.layers if layer.first), None)
        if first:
            lines.append(f"first: {first}")
        if self.waves:
            lines.append(str(self.waves))
        return [f"  {line}" for line in lines]
