"""A network on its way to an image: what the passes so far have found."""

from dataclasses import dataclass, field

from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from hw.spec.isa.encoding import Instruction
from hw.spec.tensors import Gather, Layer
from qnn.compiler.choose_runs import Schedule
from qnn.compiler.data_section import DataSection
from qnn.compiler.network import MappedNetwork
from qnn.compiler.places import Places, Spot
from qnn.compiler.task import Task
from qnn.ir.graph import Graph


@dataclass(frozen=True, eq=False, kw_only=True)
class Compilation:
    """The state between two passes. What no pass has found yet is None, or empty.

    Members
    -------
    graph : the network, equal in every tensor that stays to the user's, but for ``orders``
    batch : images of ``graph`` in one run
    bytes_per_cycle : that the memory gives and takes, each
    given, stacked : where ``graph`` has images below each other, the graph of one, and how many
    orders : of tensors whose channels stand in another order than in the user's network, that order
    gathers : how the host gathers the words of the inputs that are packed, by name
    network : the graph, with packed inputs, and where its tensors lie relative to each other
    plan : which layers run strip by strip together, and what lies in memory
    chip : first feature words of all that is on chip
    places : where everything lies, on chip and in memory
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
    given: Graph | None = None
    stacked: int = 1
    orders: dict[str, tuple[int, ...]] = field(default_factory=dict)
    gathers: dict[str, Gather] = field(default_factory=dict)
    network: MappedNetwork | None = None
    plan: Schedule | None = None
    chip: dict[Spot, int] | None = None
    places: Places | None = None
    tasks: tuple[Task, ...] = ()
    layers: tuple[Layer, ...] = ()
    data: DataSection | None = None
    program: tuple[Instruction, ...] = ()
    image: Image | None = None
