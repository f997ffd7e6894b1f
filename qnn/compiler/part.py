"""A part of a network: layers that compute as many images of a batch at a time."""

from dataclasses import dataclass, field

from hw.spec.tensors import Gather
from qnn.compiler.choose_runs import Schedule
from qnn.compiler.network import MappedNetwork
from qnn.compiler.places import Places, Spot
from qnn.ir.graph import Graph


@dataclass(frozen=True, eq=False, kw_only=True)
class NetworkPart:
    """Layers that follow each other, and what the passes have found for them.

    What no pass has found yet is None, or empty.

    Members
    -------
    graph : the layers, with ``images`` images below each other in every tensor
    turns : how often they run in a batch
    takes, gives : the tensor that the part before has computed and that is an input here, and the
        one that is an output here for the part behind; None: no part is there
    gathers : how the host gathers the words of the inputs that are packed, by name
    network : the graph, with packed inputs, and where its tensors lie relative to each other
    plan : which layers run strip by strip together, and what lies in memory
    chip : first feature words of all that is on chip
    places : where everything lies, on chip and in memory
    """

    graph: Graph
    images: int
    turns: int
    takes: str | None = None
    gives: str | None = None
    gathers: dict[str, Gather] = field(default_factory=dict)
    network: MappedNetwork | None = None
    plan: Schedule | None = None
    chip: dict[Spot, int] | None = None
    places: Places | None = None
