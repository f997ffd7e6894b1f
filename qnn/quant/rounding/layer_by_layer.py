"""Rounding of one layer after the other, each behind those that are rounded already."""

from collections.abc import Callable, Mapping

from torch import Tensor

from qnn.quant.rounding.checkpoint import Checkpoint, identity
from qnn.quant.rounding.layer import Owner, owners
from qnn.quant.rounding.problem import Problem, Progress, Rounded

# Of a layer, its place, and the values of the layers before it by name: indices of its values.
RoundLayer = Callable[[Owner, int, Mapping[str, Tensor]], Tensor]


def layer_by_layer(
    method: str,
    problem: Problem,
    options: object,
    round_layer: RoundLayer,
    progress: Progress | None,
    checkpoint: Checkpoint | None,
) -> Rounded:
    """Round all layers in the order in which they run, and keep each on disk when it is done.

    Raises
    ------
    ModelError
        A layer does not run, or more than once, or the checkpoint is another run's.
    """
    order = owners(problem, method)
    owner_of_file = identity(method, problem, options) if checkpoint else {}
    indices = (checkpoint.load(owner_of_file) if checkpoint else None) or {}
    given = {name: problem.given(name, found) for name, found in indices.items()}
    total = sum(layer.w.numel() for layer in problem.layers.values())
    # A checkpoint holds whole layers, the first of the order: the run goes on behind them.
    for place, owner in enumerate(order[len(indices) :], len(indices)):
        indices[owner.name] = round_layer(owner, place, given)
        given[owner.name] = problem.given(owner.name, indices[owner.name])
        if checkpoint:
            checkpoint.save(owner_of_file, indices)
        if progress is not None:
            # In weights, not layers: the last linear layer is often half of a network.
            done = sum(problem.layers[name].w.numel() for name in indices)
            progress(len(indices), len(order), done / total)
    return Rounded(indices)
