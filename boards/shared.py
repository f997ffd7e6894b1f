"""What every board of the array answers from its facts alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hw.spec.resources import Device


# A protocol, as the facts of each family are a dataclass of its own and may compute some of these.
class BoardFacts(Protocol):
    """What the facts of a board say, whatever its family.

    Members
    -------
    name : as ``--board`` takes it
    title : as its maker writes it
    device : the chip that cells are counted against
    config, sizes : the named configuration that it has by default, and the sizes of it that differ
    clock_mhz : its default clock
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def device(self) -> Device: ...
    @property
    def config(self) -> str: ...
    @property
    def sizes(self) -> Mapping[str, int]: ...
    @property
    def clock_mhz(self) -> float: ...


FactsType = TypeVar("FactsType", bound=BoardFacts)


@dataclass(frozen=True)
class ArrayBoard(Generic[FactsType]):
    """The members of ``boards.board.Board`` that are read from ``facts``."""

    facts: FactsType
    # Both families hold an image and its accelerator, which no other back end makes.
    backend = "array"

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def title(self) -> str:
        return self.facts.title

    @property
    def device(self) -> Device:
        return self.facts.device

    @property
    def config(self) -> str:
        return self.facts.config

    @property
    def sizes(self) -> Mapping[str, int]:
        return self.facts.sizes

    @property
    def clock_mhz(self) -> float:
        return self.facts.clock_mhz
