"""Layers are rounded in the order in which they run, each to give what the float one does.

A layer's operands are those behind the layers that are rounded already, and what it should give is
what the float network gives there: so each takes back, as far as its weights and its bias can, what
was lost before it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.nn.layers import QuantConv
from qnn.nn.learn import learnable, settle_result
from qnn.nn.model import QuantizedModel
from qnn.nn.scales import sums_limit, sums_reach
from qnn.ptq.beside_float import beside_float
from qnn.ptq.moments import Moments, moments_of
from qnn.quant import pow2
from qnn.quant.rounding.nearest_sums import fit_best
from qnn.quant.rounding.quadratic import GridRows, damped

# As in the paper of GPTQ.
DAMPING = 0.01  # added to the diagonal of second moments, as a share of its mean
# More change nothing that images held out would show.
SWEEPS = 2  # of coordinate descent over the weights of a layer


@dataclass(frozen=True, eq=False)
class FittedLayer:
    """What was chosen for a layer.

    Members
    -------
    indices : (terms, outputs, inputs / groups, height, width) int8
    exponent : (outputs,) of the weights
    bias : (outputs,) float64, folded
    """

    indices: Tensor
    exponent: Tensor
    bias: Tensor


@torch.no_grad()
def round_layers(
    quantized: QuantizedModel,
    graph: FloatGraph,
    images: tuple[Tensor, ...],
    done: Mapping[str, FittedLayer] | None = None,
    keep: Callable[[str, FittedLayer], None] = lambda _name, _chosen: None,
) -> None:
    """Choose codes, exponents and biases of every layer that learns, in place.

    Parameters
    ----------
    graph : that ``quantized`` was made of; its nodes are the layers, in order
    images : (count, channels, height, width) of each input, what the float model takes
    done : layers that are chosen already, the first ones of the order
    keep : is told each layer that is done

    Source
    ------
    Frantar et al., "GPTQ", arXiv:2210.17323, with targets of the float network behind rounded
    operands as in Li et al., "GPTAQ", arXiv:2504.02692; biases as in Nagel et al.,
    arXiv:1906.04721, section 4.2.
    """
    done, learned = done or {}, dict(learnable(quantized))
    for name, values, reals in beside_float(quantized, graph, images):
        if name in learned:
            chosen = done.get(name) or _choose(learned[name], reals, values)
            settle(learned[name], chosen)
            keep(name, chosen)


def _choose(conv: QuantConv, reals, values) -> FittedLayer:
    source, *skip = conv.plan.inputs
    weight, bias = conv.folded()

    def wanted(part):
        """The float layer's sums less the rounded skip operand, which is added behind them."""
        sums = conv.convolve(reals[source][part].float(), weight.float(), bias.float())
        for name in skip:
            sums = sums + reals[name][part] - values[name][part] * 2.0 ** -int(conv.skip_exponent)
        return sums

    x = values[source] * 2.0 ** -int(conv.input_exponent)
    moments = moments_of(conv, x, wanted)
    groups = conv.plan.window.groups
    rows = GridRows.of(
        weight, conv.weight_exponent, groups, conv.plan.weight_bits, conv.plan.grid_terms
    )
    # An unrounded result has one exponent for all channels, which the finest of them decides.
    least = None if conv.plan.rounded else rows.exponent.min().expand_as(rows.exponent)
    found, exponent = fitted_values(rows, moments, least)
    exponent = exponent.flatten()
    if conv.moves_mean:
        bias = moments.t - (found @ moments.x[:, :, None]).flatten()
    indices = pow2.nearest(
        found.reshape(weight.shape), exponent, conv.plan.weight_bits, conv.plan.grid_terms
    )
    return FittedLayer(indices, exponent, bias)


def fitted_values(
    rows: GridRows, moments: Moments, least: Tensor | None = None, thorough: bool = True
) -> tuple[Tensor, Tensor]:
    """Values of the grid, (groups, rows, inputs), whose sums are nearest to those wanted.

    Of sums of too many inputs they are the nearest values.

    Parameters
    ----------
    least : (groups, rows), the least exponents that rows may have; None: any
    thorough : whether several orders and choices of columns are tried

    Returns
    -------
    The values, and the rows' exponents, (groups, rows)
    """
    if moments.second is None:
        return rows.nearest(rows.w), rows.exponent
    missing = moments.cross - rows.w @ moments.second
    return fit_best(rows, damped(moments.second, DAMPING), missing, SWEEPS, least, thorough)


def settle(conv: QuantConv, chosen: FittedLayer) -> None:
    """Give a layer what was chosen for it, but for channels whose sums that does not fit."""
    nearest, exponent, bias = conv.indices(), conv.weight_exponent.clone(), conv.folded_bias()
    before = {name: value.clone() for name, value in conv.state_dict().items()}
    _set(conv, chosen)
    over = sums_reach(conv, conv.indices()) >= sums_limit(conv)
    if bool(over.any()):
        # From the beginning: of a bias that is too large, float32 would keep no smaller one.
        conv.load_state_dict(before)
        indices = torch.where(over[:, None, None, None], nearest, chosen.indices)
        kept = torch.where(over, exponent, chosen.exponent), torch.where(over, bias, chosen.bias)
        _set(conv, FittedLayer(indices, *kept))


def _set(conv, chosen):
    conv.set_codes(chosen.indices, chosen.exponent)
    conv.add_bias((chosen.bias - conv.folded_bias()).to(conv.weight.dtype))
    settle_result(conv)
