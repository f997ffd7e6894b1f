"""What became of a planted fault."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PlantedFault:
    """One planted fault.

    Members
    -------
    fault : what was changed, and where
    module : that has it
    found : by what ``verify`` found it, in one line; None: it did not
    localised : whether what found it names the layer in which values go wrong first
    equivalent : whether it is proved to change nothing that can be seen
    found_by_test : the test that finds what ``verify`` does not; None: no quick one does
    changes_artifacts : of a fault of software that ``verify`` does not find, whether the compiler
        then makes other bytes or another estimate of the campaign's networks
    """

    fault: str
    module: str
    found: str | None
    localised: bool = False
    equivalent: bool = False
    found_by_test: str | None = None
    changes_artifacts: bool = False

    @property
    def survives(self) -> bool:
        """Whether nothing found it, and nothing proves that there is nothing to find."""
        return self.found is None and self.found_by_test is None and not self.equivalent
