"""Rounding of one layer after the other, each behind those that are rounded already."""

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor

from qnn.quant.rounding.checkpoint import Checkpoint, identity, keeping
from qnn.quant.rounding.layer import Owner, owners
from qnn.quant.rounding.problem import Problem, Progress, Rounded

# Called at safe points inside a layer with the steps done and what gives the layer's state.
Keep = Callable[[int, Callable[[], Mapping[str, Tensor]]], None]
# Of a layer, its place, the values of the layers before it by name, its state in the checkpoint,
# and what keeps that state: indices of its values.
RoundLayer = Callable[[Owner, int, Mapping[str, Tensor], Mapping[str, Tensor], Keep], Tensor]
# No parameter has a space in its name.
UNDER_WAY = "under way "  # before the names of a layer's state in a checkpoint


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
    Interrupted
        A signal asked the run to stop, and its state is in the checkpoint.
    """
    order = owners(problem, method)
    owner_of_file = identity(method, problem, options) if checkpoint else {}
    found = (checkpoint.load(owner_of_file) if checkpoint else None) or {}
    indices = {name: value for name, value in found.items() if not name.startswith(UNDER_WAY)}
    # Of the layer that an interruption caught half-way.
    begun = {name.removeprefix(UNDER_WAY): v for name, v in found.items() if name not in indices}
    given = {name: problem.given(name, found) for name, found in indices.items()}
    total = sum(layer.w.numel() for layer in problem.layers.values())
    # Whole layers, the first of the order: the run goes on behind them.
    with keeping(checkpoint, owner_of_file) as keeper:
        for place, owner in enumerate(order[len(indices) :], len(indices)):
            keep = partial(_keep_layer, keeper, indices, len(order))
            indices[owner.name] = round_layer(owner, place, given, begun, keep)
            begun = {}
            given[owner.name] = problem.given(owner.name, indices[owner.name])
            text = f"{len(indices)} of {len(order)} layers"
            keeper.after(0, text, lambda: indices, due=True)
            done = sum(problem.layers[name].w.numel() for name in indices)
            if progress is not None:
                # In weights, not layers: the last linear layer is often half of a network.
                progress(len(indices), len(order), done / total)
    return Rounded(indices)


def _keep_layer(keeper, indices, count, step, state):
    """Keep the layers that are done, and the state of the one under way."""
    text = f"{len(indices)} of {count} layers" + (f" and {step} steps of the next" * bool(step))
    # Not by the number of steps, of which a layer has many and short ones.
    keeper.after(0, text, lambda: indices | {UNDER_WAY + n: t for n, t in state().items()})
