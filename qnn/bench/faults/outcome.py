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
    """

    fault: str
    module: str
    found: str | None
    localised: bool = False
    equivalent: bool = False
