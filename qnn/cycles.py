"""What the layers of a graph cost on hardware, for a search that saves it."""

from collections.abc import Callable

from qnn.backend.registry import DEFAULT
from qnn.design import compile
from qnn.ir.graph import Graph


def cycles_on(config: object, *, backend: str = DEFAULT) -> Callable[[Graph], dict[str, float]]:
    """What gives the cycles of each layer of a graph, by the model of a back end.

    ``qnn.Auto`` takes it as ``costs``.

    Parameters
    ----------
    config : as ``compile`` takes it
    """

    def cycles(graph: Graph) -> dict[str, float]:
        design = compile(graph, config, backend=backend)
        return {layer.name: layer.cycles for layer in design.backend.costs(design.artifact).layers}

    # By which a checkpoint knows whose costs it has.
    cycles.__qualname__ = f"cycles_on({config!r}, backend={backend!r})"
    return cycles
