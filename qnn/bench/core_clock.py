"""The clock that every rate of ``qnn bench`` is at: the low end of what our analysis estimates.

``core_clock.json`` has the interval of each core that ``qnn bench timing --keep`` has analysed. No
other file of this package has a clock, so that a faster core is faster in every table.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hw.spec.config import SvpeConfig, named_config
from qnn.files import write_whole

TABLE = Path(__file__).with_name("core_clock.json")
SPEED_GRADE = "-2"  # of the boards' devices
BUFFERS = ("feature_words", "weight_words", "parameter_words")  # of a core, in words


@dataclass(frozen=True, kw_only=True)
class CoreClock:
    """The clock of a core, an interval (estimated).

    Members
    -------
    core, fingerprint : sizes of the core that was analysed, in words and as a mark of all of them
    low_mhz, expected_mhz, high_mhz : as ``qnn.eda.timing.analysis`` defines them
    fill, seed : of the placement
    commit : of the hardware
    """

    core: str
    fingerprint: str
    device: str
    speed_grade: str
    low_mhz: float
    expected_mhz: float
    high_mhz: float
    fill: float
    seed: int
    commit: str | None

    @property
    def hertz(self) -> float:
        """The clock of rates: what one may count on."""
        return self.low_mhz * 1e6

    def is_of(self, config: SvpeConfig) -> bool:
        """Whether a core was analysed itself, rather than another one in its place."""
        return self.fingerprint == mark(config)

    def rated(self, config: SvpeConfig) -> str:
        """The MHz that a core's rates are at, marked where they are another core's."""
        return f"{self.low_mhz:.0f} MHz" + ("" if self.is_of(config) else ", another core's")

    def __str__(self) -> str:
        return (
            f"{self.low_mhz:.0f} MHz, the low end of {self.low_mhz:.0f} to {self.high_mhz:.0f} MHz "
            f"estimated by 'qnn bench timing' for {self.core}, on {self.device}, speed grade "
            f"{self.speed_grade}"
        )


def mark(config: SvpeConfig) -> str:
    """What tells a core from all others in the file."""
    return f"{config.fingerprint:016x}"


def rate_clock(config: SvpeConfig | None = None) -> CoreClock:
    """The clock of a core's rates: its own, if it was analysed.

    Else that of the same core with the reference's buffers, as memories of another depth are no
    faster core; or the reference core's. ``rated`` says where it is not its own.
    """
    clocks = {clock.fingerprint: clock for clock in kept() if clock.speed_grade == SPEED_GRADE}
    usual = named_config("reference")
    reference = clocks[mark(usual)]
    if config is None:
        return reference
    alike = replace(config, **{name: getattr(usual, name) for name in BUFFERS})
    return clocks.get(mark(config)) or clocks.get(mark(alike), reference)


def kept() -> list[CoreClock]:
    """All clocks that the file has."""
    return [CoreClock(**fields) for fields in json.loads(TABLE.read_text())]


def keep(clock: CoreClock) -> None:
    """Put a clock into the file, in place of an earlier one of the same core and speed grade."""
    held = {(each.fingerprint, each.speed_grade): each for each in kept()}
    held[clock.fingerprint, clock.speed_grade] = clock
    write_whole(TABLE, json.dumps([asdict(each) for each in held.values()], indent=2) + "\n")
