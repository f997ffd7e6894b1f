"""The names of places: on chip, and in the regions of memory."""

from dataclasses import dataclass
from typing import NamedTuple

from hw.spec.isa.buffers import Region
from hw.spec.tensors import TensorLayout

STAYS = -1  # the run of a root that stays on chip for its whole life


class Spot(NamedTuple):
    """A copy of a strip buffer of a run; a root that stays on chip belongs to run ``STAYS``."""

    run: int
    name: str
    copy: int


class Map(NamedTuple):
    """A tensor in memory: its first word, in a region, and words from row to row."""

    region: Region
    start: int
    row_step: int


@dataclass(frozen=True)
class Places:
    """The places of the tensors of a network's part, on chip and in memory.

    Members
    -------
    chip : first feature word of every spot
    sources : of each turn, the memory that a tensor is loaded from
    targets : of each turn, the memories that a tensor is stored to
    """

    chip: dict[Spot, int]
    sources: tuple[dict[str, Map], ...]
    targets: tuple[dict[str, tuple[Map, ...]], ...]


@dataclass(frozen=True)
class Memory:
    """What memory holds besides the program.

    Members
    -------
    inputs, outputs : of each image, the tensors that the host writes and reads
    scratch_words : feature words of the scratch region
    """

    inputs: tuple[tuple[TensorLayout, ...], ...]
    outputs: tuple[tuple[TensorLayout, ...], ...]
    scratch_words: int
