"""A row of the table of networks: all that was told of one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from qnn.bench.zoo.listed import ListedNetwork


@dataclass
class ZooRow:
    """What came of one network; what did not come to be known is None.

    Members
    -------
    accepted : whether capture, fusion and quantization took it
    lacks : what it has that is not supported, or why it ended
    unfit : why the configuration has no room for it, with numbers
    fidelity_db : signal to noise of the finest integers against the float network
    most_terms_db : where that is low, the same with seven terms: without the weights' rounding
    noise_db : where it is low, what the float network's own outputs keep if each layer's
        results have noise 60 dB below them: what the network makes of any rounding
    values, mismatches : compared with the reference by the functional simulator, and different ones
    failure : how a run ended that did not end well
    cycles, utilisation : of one image, by the cycle model; the share of the array's products
    macs : multiply-accumulates of an image
    seconds, part_seconds : of all, and of each part that had an end
    ended_in : the part in which its process ended, where that was not the last
    commit : of the code that measured it
    definition : of the network and the settings that it was measured with
    """

    name: str
    family: str
    accepted: bool = False
    lacks: list[str] = field(default_factory=list)
    unfit: str | None = None
    fidelity_db: float | None = None
    most_terms_db: float | None = None
    noise_db: float | None = None
    values: int | None = None
    mismatches: int | None = None
    failure: str | None = None
    cycles: int | None = None
    utilisation: float | None = None
    macs: int | None = None
    seconds: float = 0.0
    part_seconds: dict[str, float] = field(default_factory=dict)
    ended_in: str | None = None
    commit: str | None = None
    definition: dict = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether it was verified, every value right, or has no room in the configuration."""
        # A run that compared no values has shown nothing, however few of them differ.
        verified = self.mismatches == 0 and bool(self.values) and self.failure is None
        return self.accepted and (verified or self.unfit is not None)

    def learn(self, told: Mapping) -> None:
        """Add what the network's process has told."""
        for name, value in told.items():
            if name == "part_seconds":
                self.part_seconds |= value
                self.seconds = round(sum(self.part_seconds.values()), 3)
                # What has an end is not where the process ends.
                self.ended_in = None
            else:
                setattr(self, name, value)

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)

    @staticmethod
    def of(network: ListedNetwork, commit: str | None, definition: dict) -> "ZooRow":
        """The row of a network of which nothing is known yet."""
        return ZooRow(network.name, network.family, commit=commit, definition=definition)


NAMES = {each.name for each in fields(ZooRow)}
