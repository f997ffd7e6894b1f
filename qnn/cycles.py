"""What the layers of a graph cost on hardware, for a search that saves it."""

from dataclasses import dataclass

from qnn.backend.costs import Costs
from qnn.backend.registry import DEFAULT
from qnn.design import compile
from qnn.ir.graph import Graph


# Its text is by what a checkpoint knows whose costs it has.
@dataclass(frozen=True)
class Cycles:
    """Cycles of the layers of a graph, by the model of a back end.

    Members
    -------
    config : as ``compile`` takes it
    """

    config: object
    backend: str

    def __call__(self, graph: Graph) -> dict[str, float]:
        """The cycles of each layer."""
        return {layer.name: layer.cycles for layer in self._costs(graph).layers}

    def rows(self, graph: Graph) -> int | None:
        """Output channels that are computed at a time, in the terms of the most of them."""
        return self._costs(graph).rows

    def _costs(self, graph: Graph) -> Costs:
        design = compile(graph, self.config, backend=self.backend)
        return design.backend.costs(design.artifact)


def cycles_on(config: object, *, backend: str = DEFAULT) -> Cycles:
    """What gives the cycles of each layer of a graph, by the model of a back end.

    ``qnn.Auto`` takes it as ``costs``.

    Parameters
    ----------
    config : as ``compile`` takes it
    """
    return Cycles(config, backend)
