"""Fusion: a float graph reduced to inputs, convolutions, products, pooling and what joins tensors.

No pass changes what the network computes, except that an average's divisor may move into the
weights behind it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from qnn.frontend.check import check
from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.affine import Affine
from qnn.frontend.ops.average_pool import AveragePool
from qnn.frontend.ops.batch_norm import BatchNorm
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.extreme import Extreme
from qnn.frontend.ops.flatten import Flatten
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.gather import ChannelGather
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.ops.pad import Pad
from qnn.frontend.ops.pixel_shuffle import PixelShuffle
from qnn.frontend.ops.quantizer import Quantizer
from qnn.frontend.ops.resample import Resample
from qnn.frontend.ops.slice import Slice
from qnn.frontend.ops.transposed_conv import TransposedConv
from qnn.frontend.passes.absorb_gathers import absorb_gathers
from qnn.frontend.passes.close_outputs import close_outputs
from qnn.frontend.passes.compose_functions import compose_functions
from qnn.frontend.passes.fold_batchnorm import fold_batchnorm
from qnn.frontend.passes.fold_flatten import fold_flatten
from qnn.frontend.passes.fold_pads import fold_pads
from qnn.frontend.passes.fold_slices import fold_slices
from qnn.frontend.passes.fuse_activations import fuse_activations
from qnn.frontend.passes.fuse_adds import fuse_adds
from qnn.frontend.passes.hoist_activations import hoist_activations
from qnn.frontend.passes.hoist_pools import hoist_pools
from qnn.frontend.passes.lift_gathers import lift_gathers
from qnn.frontend.passes.lower_activations import lower_activations
from qnn.frontend.passes.lower_affines import lower_affines
from qnn.frontend.passes.lower_extremes import lower_extremes
from qnn.frontend.passes.lower_gathers import lower_gathers
from qnn.frontend.passes.lower_pools import lower_pools
from qnn.frontend.passes.lower_resamples import lower_resamples
from qnn.frontend.passes.lower_shortcuts import lower_shortcuts
from qnn.frontend.passes.lower_shuffles import lower_shuffles
from qnn.frontend.passes.lower_slices import lower_slices
from qnn.frontend.passes.lower_transposed import lower_transposed
from qnn.frontend.passes.move_divisors import move_divisors
from qnn.frontend.passes.nest_concats import nest_concats
from qnn.frontend.passes.separate_inputs import separate_inputs
from qnn.frontend.passes.split_pools import split_pools
from qnn.frontend.passes.spread_operands import spread_operands
from qnn.frontend.passes.spread_over_concats import spread_over_concats
from qnn.frontend.passes.spread_over_interleaves import spread_over_interleaves

Kinds = tuple[type[FloatOperator], ...]


@dataclass(frozen=True)
class FusionPass:
    """A step of fusion, with what must hold before it and after it.

    Members
    -------
    run : gives the changed graph
    needs : kinds of nodes that earlier passes have to have removed
    removes : kinds of nodes that are gone from here on
    """

    run: Callable[[FloatGraph], FloatGraph]
    needs: Kinds = ()
    removes: Kinds = ()


# Factors become normalisations, and BatchNorm is folded before the rest, as later passes look for
# plain convolutions.
PASSES = (
    FusionPass(lower_extremes, removes=(Extreme,)),
    FusionPass(spread_operands, needs=(Extreme,)),
    FusionPass(lower_transposed, removes=(TransposedConv,)),
    FusionPass(compose_functions),
    FusionPass(lower_affines, removes=(Affine,)),
    FusionPass(spread_over_interleaves, needs=(TransposedConv, Affine)),
    FusionPass(nest_concats),
    FusionPass(spread_over_concats, needs=(Affine,)),
    FusionPass(fold_batchnorm, needs=(Affine,), removes=(BatchNorm,)),
    FusionPass(lift_gathers, needs=(BatchNorm,)),
    # Once more: layers that have taken in their normalisation take what is behind it.
    FusionPass(spread_over_concats, needs=(BatchNorm,)),
    FusionPass(hoist_activations),
    FusionPass(hoist_pools, needs=(BatchNorm,)),
    FusionPass(move_divisors, needs=(BatchNorm,)),
    FusionPass(split_pools),
    FusionPass(lower_pools, removes=(AveragePool,)),
    FusionPass(absorb_gathers, needs=(BatchNorm, AveragePool)),
    FusionPass(fold_flatten, needs=(BatchNorm, AveragePool), removes=(Flatten,)),
    FusionPass(lower_shortcuts),
    FusionPass(fold_pads, needs=(BatchNorm, AveragePool), removes=(Pad,)),
    FusionPass(lower_resamples, removes=(Resample,)),
    # Once more: what resampling has become may have a clamp behind it.
    FusionPass(spread_over_interleaves, needs=(Resample,)),
    FusionPass(fuse_activations),
    FusionPass(lower_shuffles, needs=(BatchNorm,), removes=(PixelShuffle,)),
    FusionPass(fold_slices),
    FusionPass(lower_slices, removes=(Slice,)),
    FusionPass(lower_gathers, removes=(ChannelGather,)),
    FusionPass(
        fuse_adds, needs=(BatchNorm, AveragePool, Pad, Slice, ChannelGather), removes=(Add,)
    ),
    # Once more: a sum that became a skip operand may have an activation behind it.
    FusionPass(fuse_activations, needs=(Add,)),
    FusionPass(lower_activations, removes=(Clamp, FloatFunction, Quantizer)),
    FusionPass(close_outputs),
    FusionPass(separate_inputs, needs=(Pad, Slice, Clamp, FloatFunction)),
)


def fuse(graph: FloatGraph, *, checked: bool = False) -> FloatGraph:
    """All passes: what is left are inputs, convolutions, products, pooling and what joins tensors.

    Parameters
    ----------
    checked : whether the graph is checked before the first pass and after each

    Raises
    ------
    ModelError
        ``checked``, and the graph is not legal; the text names the node.
    """
    if checked:
        check(graph)
    # What a pass has removed no later one may bring back.
    gone: Kinds = ()
    for step in PASSES:
        before, graph = graph, step.run(graph)
        if checked:
            _check_step(step, gone, before, graph)
        gone += step.removes
    return graph


def _check_step(step: FusionPass, gone: Kinds, before: FloatGraph, after: FloatGraph) -> None:
    """What holds between two passes; a failure is a mistake in a pass or in their order."""
    name = step.run.__name__
    missing = [kind.__name__ for kind in step.needs if kind not in gone]
    assert not missing, f"{name} needs passes before it that remove {', '.join(missing)}"
    check(after)
    # By class alone: no kind of node derives from another.
    left = {type(node) for node in after.nodes} & {*gone, *step.removes}
    assert not left, f"{name} left {', '.join(sorted(kind.__name__ for kind in left))}"
    kept = [output.shape for output in after.outputs] == [o.shape for o in before.outputs]
    assert kept, f"{name} changed the shapes of the outputs"
    assert after.inputs == before.inputs, f"{name} changed the inputs"
