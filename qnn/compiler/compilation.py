"""A network on its way to an image: what the passes so far have found."""

from dataclasses import dataclass, field
from functools import cached_property

from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from hw.spec.isa.encoding import Instruction
from hw.spec.tensors import Layer
from qnn.compiler.data_section import DataSection
from qnn.compiler.lower import GroupData
from qnn.compiler.part import NetworkPart
from qnn.compiler.places import Memory
from qnn.compiler.task import Task
from qnn.ir.graph import Graph


@dataclass(frozen=True, eq=False, kw_only=True)
class Compilation:
    """The state between two passes. What no pass has found yet is None, or empty.

    Members
    -------
    graph : the network, equal in every tensor that stays to the user's, but for ``orders``
    batch : images of one run
    bytes_per_cycle : that the memory gives and takes, each
    orders : of tensors whose channels stand in another order than in the user's network, that order
    parts : the layers of the network, by how many images they compute at a time
    memory : what memory holds for the host and for itself
    tasks : instructions that name their weights, right when executed one after the other
    layers : what each tag of the program computes
    data : weights and epilogue numbers, as memory holds them
    program : the instructions, in the end with addresses, tokens and fences
    image : the result
    """

    graph: Graph
    config: SvpeConfig
    batch: int
    # Of the memory port as the board has it, which may be less than the bus is wide.
    bytes_per_cycle: int
    orders: dict[str, tuple[int, ...]] = field(default_factory=dict)
    parts: tuple[NetworkPart, ...] = ()
    memory: Memory | None = None
    tasks: tuple[Task, ...] = ()
    layers: tuple[Layer, ...] = ()
    data: DataSection | None = None
    program: tuple[Instruction, ...] = ()
    image: Image | None = None

    @cached_property
    def part_of(self) -> dict[str, NetworkPart]:
        """The part that computes each layer, by the layer's name."""
        return {n.name: part for part in self.parts for n in part.graph.nodes if n.is_computed}

    @cached_property
    def packed(self) -> dict[str, tuple[GroupData, ...]]:
        """Weights and parameters of every convolution, by group."""
        return {name: data for part in self.parts for name, data in part.network.packed.items()}
