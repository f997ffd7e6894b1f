"""Weight exponents that leave room: every shift and sum of a convolution fits a result."""

import math

import torch
from torch import Tensor

from qnn.errors import ModelError
from qnn.nn.layer_plans import sum_bits
from qnn.nn.layers import QuantConv
from qnn.quant import pow2
from qnn.quant.search_exponent import search_exponent

# Each round coarsens some channel by an octave, and a result has no more than 48 of them.
TRIES = 64


def set_exponents(conv: QuantConv) -> None:
    """Choose the weights' exponents, with the least squared error among those that fit.

    An unrounded result gets its own exponent here: the finest of its channels.

    Raises
    ------
    ModelError
        The bias, or the operands' scales, leave no room for the weights.
    """
    weight, bias = conv.folded()
    least = _units(conv) - _most_units(conv, weight, bias)
    for _ in range(TRIES):
        finest = _choose(conv, weight, least)
        plan = conv.plan
        indices = pow2.nearest(weight, conv.weight_exponent, plan.weight_bits, plan.grid_terms)
        reach = sums_reach(conv, indices)
        if bool((reach < sums_limit(conv)).all()):
            return _check_fixed(conv, weight)
        least = torch.where(_coarsened(conv, reach, finest), conv.weight_exponent + 1, least)
    raise ModelError(
        f"layer '{conv.plan.name}': channel {int(reach.argmax())} needs more than "
        f"{_bits(conv)} bits for its sums; scale its weights and bias down"
    )


def _units(conv) -> int:
    """F of a channel whose weights have exponent 0, without a left shift."""
    return int(conv.input_exponent) + conv.plan.fraction_bits


def _least_units(conv) -> int | None:
    """The least F that every operand and the result can be shifted to; None if there is none."""
    exponents = [int(conv.sum_exponent)] if conv.plan.rounded else []
    if conv.skip_exponent is not None:
        exponents.append(int(conv.skip_exponent))
    return max(exponents, default=None)


def _most_units(conv, weight, bias) -> Tensor:
    """The greatest F at which what is not a weight still fits, roughly: (outputs,) int64."""
    real = weight.abs().flatten(1).sum(1) * conv.input_reach * 2.0 ** -int(conv.input_exponent)
    real = real + bias.abs()
    if conv.skip_exponent is not None:
        real = real + conv.skip_reach * 2.0 ** -int(conv.skip_exponent)
    if conv.plan.rounded:
        real = real + 2.0 ** -int(conv.sum_exponent)
    else:
        # An unrounded result has one exponent for all channels: the largest decides.
        real = real.amax().expand(len(real))
    smallest = torch.finfo(torch.float64).tiny
    return _bits(conv) - 1 - real.clamp(min=smallest).log2().ceil().to(torch.int64)


def _choose(conv, weight, least) -> Tensor:
    """Set the exponents, at least ``least``; returns each channel's F before left shifts."""
    plan = conv.plan
    exponent = search_exponent(weight, plan.weight_bits, plan.grid_terms, least=least)
    # A channel of zeros has any units; it takes the coarsest that its bias can be shifted to. Where
    # the greatest weight is nearest to zero, all are.
    greatest = torch.linalg.vector_norm(weight.flatten(1), math.inf, 1)
    dead = ~pow2.nearest(greatest, exponent, plan.weight_bits, plan.grid_terms).any(0)
    units, floor = _units(conv) - exponent, _least_units(conv)
    if not plan.rounded:
        finest = [int(units[~dead].max())] if bool((~dead).any()) else []
        # Where all are zeros, the operand may be too fine for any bias.
        coarse = int((_units(conv) - least).min().clamp(max=int(conv.input_exponent)))
        floor = max(finest + ([] if floor is None else [floor]), default=coarse)
        conv.exponent.fill_(floor)
    units = torch.where(dead, floor, units)
    conv.weight_exponent.copy_(_units(conv) - units)
    return units


def sums_limit(conv: QuantConv) -> int:
    """What every sum of a layer has to stay below, in integers."""
    return 1 << (_bits(conv) - 1)


def _bits(conv) -> int:
    # An unsigned operand reaches 2**bits, and a signed one half of it: the latter's sums have a
    # bit less to hold, unless its 0 lies away from the middle.
    return sum_bits((max(conv.input_reach, conv.skip_reach) - 1).bit_length())


def sums_reach(conv: QuantConv, indices: Tensor) -> Tensor:
    """Bound of every sum of a layer, its storage included, (outputs,) float64.

    ``indices`` are those of its weights, as ``QuantConv.indices`` gives them.
    """
    epilogue = conv.epilogue()
    # Storage subtracts the offset inside the sum, before the right shift; a table has it in its
    # entries.
    offset = conv.type.offset if conv.lookup is None else 0
    stored = abs(offset) * pow2.exp2(epilogue.right)  # in units of the sum
    return conv.reach(indices, epilogue) + stored


def _coarsened(conv, reach, units) -> Tensor:
    """Channels whose F must fall: those that are over, or, unrounded, all of the finest."""
    if conv.plan.rounded:
        return reach >= sums_limit(conv)
    return units == int(conv.exponent)


def _check_fixed(conv, weight) -> None:
    """Weights that are not learned must lose less to a lack of room than a step of the result."""
    plan = conv.plan
    if not plan.fixed:
        return
    free = search_exponent(weight, plan.weight_bits, plan.grid_terms)
    wanted = pow2.nearest(weight, free, plan.weight_bits, plan.grid_terms)
    got = pow2.values(conv.indices(), conv.weight_exponent, plan.weight_bits)
    lost = (pow2.values(wanted, free, plan.weight_bits) - got).abs().flatten(1).sum(1)
    reach = conv.input_reach * pow2.exp2(-conv.input_exponent)
    if bool((lost * reach >= pow2.exp2(-conv.sum_exponent)).any()):
        raise ModelError(
            f"layer '{plan.name}': its operands differ too much in scale to meet in "
            f"{_bits(conv)}-bit sums; scale one of them in the model"
        )
