"""The networks and cores whose frames per second are measured, and what they should reach."""

from dataclasses import dataclass, field, replace

from hw.spec.config import SvpeConfig, named_config

BOARD_MEMORY = 19.2e9  # bytes a second, of the reference board: DDR4-2400 of 64 bits
MEMORY_STEP = 2  # bytes per cycle, so that cycles of one memory hold at some clocks
WIDE = {"epilogue_words": 4, "neighbours": 2}


@dataclass(frozen=True, kw_only=True)
class ThroughputCase:
    """A network, the cores that compute it, and what these should reach.

    Members
    -------
    settings : sizes that are not the reference core's
    paths : beats that the memory moves in a cycle, each way, over all cores
    board_memory : whether all cores share the board's memory, too
    goal_rate, goal_busy : frames per second, and share of the lanes; None where there is none
    """

    model: str
    cores: int = 1
    paths: int = 1
    batch: int = 8
    board_memory: bool = False
    settings: dict[str, int] = field(default_factory=dict)
    goal_rate: float | None = None
    goal_busy: float | None = None

    @property
    def name(self) -> str:
        """Of the case, by which results are known."""
        size = "".join(f", {name}={value}" for name, value in self.settings.items())
        cores = f", {self.cores} cores" if self.cores > 1 else ""
        paths = f", {self.paths} paths" if self.paths > 1 else ""
        memory = ", the board's memory" if self.board_memory else ""
        return f"{self.model}{size}{cores}{paths}{memory}"

    @property
    def config(self) -> SvpeConfig:
        """The core."""
        return replace(named_config("reference"), **self.settings)


def memory_bytes_per_cycle(case: ThroughputCase, hertz: float) -> int | None:
    """What the board's memory moves in a cycle of a clock, or a little less; None for no limit."""
    if not case.board_memory:
        return None
    return int(BOARD_MEMORY / hertz) // MEMORY_STEP * MEMORY_STEP


FOUR = {"cores": 4, "paths": 4, "board_memory": True}
CASES = (
    # Those that are small first: a long one may be interrupted.
    ThroughputCase(model="resnet20"),
    ThroughputCase(model="resnet20", cores=4),
    ThroughputCase(model="resnet20", goal_rate=55_000, **FOUR),
    ThroughputCase(model="resnet8"),
    ThroughputCase(model="dscnn"),
    ThroughputCase(model="mobilenetv1_vww"),
    ThroughputCase(model="resnet18", batch=2),
    ThroughputCase(model="resnet18", batch=2, goal_rate=1_200, **FOUR),
    ThroughputCase(model="resnet50", batch=1),
    ThroughputCase(model="resnet50", batch=1, goal_rate=400, **FOUR),
    ThroughputCase(model="mobilenetv2", batch=1),
    ThroughputCase(model="mobilenetv2", batch=1, goal_rate=1_700, **FOUR),
    # What 'qnn check' advises for such networks; two cores fit where four of the reference do.
    ThroughputCase(
        model="mobilenetv2",
        settings=WIDE,
        goal_rate=1_700,
        goal_busy=0.45,
        **{**FOUR, "cores": 2, "paths": 2},
    ),
)
