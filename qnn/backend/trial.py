"""A further run of a thorough verification, beside the plain one of the user's own inputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from qnn.backend.protocol import Artifact
from qnn.ir.encode import Arrays
from qnn.ir.graph import Graph


@dataclass(frozen=True, eq=False, kw_only=True)
class Trial:
    """What to run, and how.

    Members
    -------
    name : what it tries, in a few words
    graph, artifact : the network, which may be one that the back end has made for the purpose
    inputs : integers of the graph's inputs
    options : of the device
    fails : whether the run must end with an error that the device tells
    expected : integers of each output, where no graph says them; None: all tensors are the graph's
    cycles : that a run of it takes by the back end's model; None: it is not held to any
    proof : instead of a run: gives what is wrong, in one line, or None
    """

    name: str
    graph: Graph
    artifact: Artifact
    inputs: Arrays
    options: Mapping[str, object] = field(default_factory=dict)
    # An option and no text: what the error says is the device's, and is held to the bus by it.
    # Of such a run no value says anything: what counts is how it ends.
    fails: bool = False
    expected: tuple[np.ndarray, ...] | None = None
    cycles: int | None = None
    proof: Callable[[], str | None] | None = None
