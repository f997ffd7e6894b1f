"""``Backend``: what turns an integer graph into something that runs, and answers for it.

The rest of ``qnn`` speaks of designs through this protocol alone. A back end is one folder of
``qnn/backend`` whose file ``backend.py`` holds it as ``BACKEND``; nothing else names it. The array
is one of them: its compiler is ``qnn.compiler``, its simulators are ``sim.functional``, ``sim.rtl``
and ``sim.cycles``, its driver is ``qnn.runtime``, its hardware is ``hw``, and the boards hold it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from qnn.backend.claims import Claim
from qnn.backend.costs import Costs, Estimate
from qnn.backend.execution import Execution
from qnn.backend.memory import MemoryUse
from qnn.ir.encode import Arrays
from qnn.ir.graph import Graph

if TYPE_CHECKING:
    import numpy as np

    from qnn.backend.trial import Trial


# Protocols, not base classes: a back end shares no code with another, and inherits none.
class Artifact(Protocol):
    """What a back end makes of a graph; only that back end looks inside.

    Members
    -------
    batch : images that one run computes
    config : what it was compiled for, in the back end's own terms; its text is one line
    """

    @property
    def batch(self) -> int: ...
    @property
    def config(self) -> object: ...

    def to_bytes(self) -> bytes:
        """The file, from which ``Backend.read`` makes the artifact again."""
        ...


@dataclass(frozen=True, kw_only=True)
class ArtifactSize:
    """How large an artifact is; ``program_bytes`` are those of ``image_bytes`` that instruct."""

    layers: int
    program_bytes: int
    image_bytes: int


class Backend(Protocol):
    """What a back end owns.

    Members
    -------
    name : as ``--backend`` and the manifest of a build have it; also the name of its folder
    devices : what runs its artifacts without hardware, the closest to hardware last
    parameters : what ``configure`` may change, to the words that it may be; no words: a whole
        number
    """

    @property
    def name(self) -> str: ...
    @property
    def devices(self) -> tuple[str, ...]: ...
    @property
    def parameters(self) -> Mapping[str, tuple[str, ...]]: ...

    def configure(self, graph: Graph, name: str | None, changes: Mapping[str, int | str]) -> object:
        """The configuration to compile ``graph`` for: ``name``'s, or the default, with ``changes``.

        Raises
        ------
        CompileError
            There is no such configuration.
        """
        ...

    def compile(self, graph: Graph, config: object, batch: int, **options: object) -> Artifact:
        """The artifact of ``graph`` for ``batch`` images a run.

        Raises
        ------
        CompileError
            The graph does not fit; the text says what to change.
        """
        ...

    def read(self, data: bytes, name: str) -> Artifact:
        """The artifact whose ``to_bytes`` gave ``data``; errors name the file ``name``.

        Raises
        ------
        CompileError
            The bytes are no artifact of this back end, or of another version.
        """
        ...

    # Needed by who compares: the reference runs this graph where passes have made new tensors.
    def lower(self, graph: Graph) -> Graph:
        """The graph as its artifacts compute it; every tensor that stays keeps its integers."""
        ...

    def run(
        self,
        artifact: Artifact,
        inputs: Arrays,
        device: str,
        *,
        tensors: bool = False,
        built: Mapping[str, bytes] | None = None,
        # What a device may be told is its own affair: how fast a memory is, or how many cores there
        # are.
        **options: object,
    ) -> Execution:
        """Run ``artifact`` on ``inputs``, the integers that the reference takes.

        Parameters
        ----------
        device : one of ``devices``
        tensors : whether the execution holds every tensor that was computed, or outputs alone
        built : files of the artifact's build folder, path to content, which a device that runs the
            hardware takes it from; None: the hardware is made from the artifact's configuration
        options : of the device

        Raises
        ------
        DeviceError
            The device broke a rule that belongs to no layer.
        """
        ...

    def estimate(self, artifact: Artifact) -> Estimate:
        """Cycles and cells, before any simulation or synthesis."""
        ...

    def advice(self, graph: Graph, config: object) -> tuple[str, ...]:
        """Configurations that suit a graph better than the given one, a line each, if there are."""
        ...

    def costs(self, artifact: Artifact) -> Costs:
        """Cycles of each layer by what they went to, from a model of the hardware."""
        ...

    def trials(
        self,
        graph: Graph,
        artifact: Artifact,
        inputs: Arrays,
        device: str,
        built: Mapping[str, bytes] | None,
    ) -> "Iterator[Trial]":
        """What a thorough verification runs besides, each made when it is asked for.

        Parameters
        ----------
        graph : that ``artifact`` was compiled from
        inputs, device, built : of the plain run
        """
        ...

    def claims(self, artifact: Artifact) -> tuple[Claim, ...]:
        """What the artifact says of inputs, outputs and layers, in the order of the network."""
        ...

    def memory(self, artifact: Artifact) -> MemoryUse:
        """Where the network lies, in memory and on chip."""
        ...

    def size(self, artifact: Artifact) -> ArtifactSize:
        """The number of layers, and the sizes of the artifact in bytes."""
        ...

    def facts(self, artifact: Artifact) -> dict[str, object]:
        """What a build's manifest says of it: ``config``, and the hardware's ``fingerprint``."""
        ...

    def files(self, artifact: Artifact) -> dict[str, bytes]:
        """The Verilog and what else a user of it needs, by path in the build folder."""
        ...

    def testbench(
        self,
        artifact: Artifact,
        inputs: Arrays,
        outputs: tuple["np.ndarray", ...],
        built: Iterable[str],
    ) -> dict[str, bytes]:
        """A simulation of the Verilog of a build without ``qnn``, by path from a folder in it.

        Parameters
        ----------
        inputs : integers that the reference takes
        outputs : (images, channels, height, width) integers that each output must be
        built : paths of the files of the build
        """
        ...

    def listing(self, artifact: Artifact) -> str:
        """The artifact as text for people, as ``qnn show`` prints it."""
        ...
