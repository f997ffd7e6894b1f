"""Before and after training on the grid: what learns is attached to a model, and taken off."""

import copy
import math
from collections.abc import Iterator
from dataclasses import replace

import torch

from qnn.errors import ModelError
from qnn.nn.layers import QuantConv
from qnn.nn.learning import Exponents, LearnedExponent, settle_exponents
from qnn.nn.model import QuantizedModel
from qnn.nn.scales import sums_limit, sums_reach
from qnn.quant import pow2
from qnn.quant.estimators import Given, estimator

MOST_UNIT = 60  # of the exponent: beyond, float32 weights could lose bits


def learnable(quantized: QuantizedModel) -> Iterator[tuple[str, QuantConv]]:
    """Names and modules of the convolutions whose weights are learnt."""
    for layer in quantized.plan.learned:
        yield layer.name, quantized.layer(layer.name)


@torch.no_grad()
def prepare(
    quantized: QuantizedModel,
    method: str = "clipped_straight_through",
    learn_exponents: bool = False,
    **options,
) -> None:
    """Attach an estimator to every layer that learns, and leave the model in training mode.

    Parameters
    ----------
    method : a name of ``qnn.quant.estimators.ESTIMATORS``
    learn_exponents : of activations too, kept integers in every forward pass
    options : of the estimator

    Raises
    ------
    ValueError
        No such estimator, or it takes no such option or format.
    """
    make = estimator(method)
    convs = [conv for _, conv in learnable(quantized)]
    # All of them before the first one is attached: an error leaves the model as it was.
    estimators = [make(conv.plan.weight_bits, conv.plan.grid_terms, **options) for conv in convs]
    for conv, made in zip(convs, estimators, strict=True):
        # Before the unit, which is taken from BatchNorm's factor.
        conv.mend_silent()
        conv.set_unit(_grid_unit(conv))
        made.begin(conv.folded()[0], conv.weight_exponent)
        conv.estimator = made
    if learn_exponents:
        _attach_exponents(quantized)
    quantized.train()


def advance(quantized: QuantizedModel, progress: float, seed: int) -> None:
    """Tell the estimators how far training is, 0 to 1, and seed what they draw in this step."""
    generator = torch.Generator().manual_seed(seed)
    for _, conv in learnable(quantized):
        if conv.estimator is not None:
            conv.estimator.advance(progress, generator)


@torch.no_grad()
def finish(quantized: QuantizedModel) -> None:
    """Put what was learnt into weights and exponents, and leave a model that evaluates exactly.

    Raises
    ------
    ModelError
        A layer's weights are not finite, or its sums outgrew the accumulator.
    """
    for name, conv in learnable(quantized):
        weight, bias = conv.folded()
        # Some estimators learn in place of the weights, which then stay finite whatever happens.
        own = () if conv.estimator is None else conv.estimator.parameters()
        if not all(bool(part.isfinite().all()) for part in (weight, bias, *own)):
            raise ModelError(
                f"layer '{name}' needs finite weights, but training left NaN or infinity; train "
                f"again with a lower rate"
            )
        if conv.estimator is not None:
            conv.set_codes(*conv.estimator.codes(weight, conv.weight_exponent))
            conv.estimator = None
        conv.set_unit(torch.ones_like(conv.unit))
        conv.statistics, conv.ghost_batch = "frozen", None
    _settle_exponents(quantized)
    quantized.eval()
    for name, conv in learnable(quantized):
        settle_result(conv)
        reach = sums_reach(conv, conv.indices())
        if not bool((reach < sums_limit(conv)).all()):
            raise ModelError(
                f"layer '{name}': channel {int(reach.argmax())} outgrew the accumulator in "
                f"training; train with a lower rate or with more weight decay"
            )


def finished(quantized: QuantizedModel) -> QuantizedModel:
    """A copy of a model in training, as ``finish`` would leave it."""
    result = copy.deepcopy(quantized)
    finish(result)
    return result


@torch.no_grad()
def folded_copy(quantized: QuantizedModel) -> QuantizedModel:
    """A copy in training mode whose parameters are the folded weights and biases, used as given.

    Rounding methods look for weights with it: what they put into ``layers.NAME.weight`` is what
    the layer computes with, on and off the grid.
    """
    folded = {
        layer.name: replace(layer, eps=None, scale=1.0, bias=layer.bias or layer.eps is not None)
        for layer in quantized.plan.convs
    }
    layers = tuple(folded.get(layer.name, layer) for layer in quantized.plan.layers)
    result = QuantizedModel(replace(quantized.plan, layers=layers))
    for layer in layers:
        source, target = quantized.layer(layer.name), result.layer(layer.name)
        for name, buffer in source.named_buffers():
            if "exponent" in name or name.endswith("table"):
                target.get_buffer(name).copy_(buffer)
    for layer in folded.values():
        source, target = quantized.layer(layer.name), result.layer(layer.name)
        weight, bias = source.folded()
        if layer.fixed:
            # Put on their grid once, and not at every step.
            weight = pow2.values(source.indices(), source.weight_exponent, layer.weight_bits)
        target.weight.copy_(weight)
        if target.bias is not None:
            target.bias.copy_(bias)
        target.estimator = Given(layer.weight_bits, layer.grid_terms)
    return result.train()


def _grid_unit(conv):
    """The power of two next to what the grid's greatest value is before BatchNorm's factor."""
    factor = conv.factor()
    scale = torch.ones_like(conv.unit) if factor is None else factor.abs()
    exponent = conv.weight_exponent - (scale * abs(conv.plan.scale)).log2().round()
    return pow2.exp2(exponent.clamp(-MOST_UNIT, MOST_UNIT)).to(conv.unit.dtype)


def _attach_exponents(quantized):
    """One learned exponent for each tensor that a convolution rounds and nothing else shares."""
    learned = {}
    for layer in _rounding_alone(quantized.plan):
        conv = quantized.layer(layer.name)
        # Where 0 lies away from the middle, either end may be the farther one.
        most = conv.type.reach - 1
        made = LearnedExponent(int(conv.exponent), most, math.prod(layer.shape))
        learned[layer.name] = made.to(conv.exponent.device)
    for layer in quantized.plan.convs:
        source, skip = (*layer.inputs, None)[:2]
        quantized.layer(layer.name).exponents = Exponents(
            learned.get(source), learned.get(skip), learned.get(layer.name)
        )
    quantized.learned_exponents = torch.nn.ModuleDict(
        {str(index): exponent for index, exponent in enumerate(learned.values())}
    )


def _rounding_alone(plan):
    """Learnt convolutions whose result only such read: its exponent is its own."""
    learnt = {layer.name for layer in plan.learned}
    others = (layer for layer in plan.layers if layer.name not in learnt)
    # A concatenation or a pooling has its operands' type: one of them cannot move alone.
    shared = {name for name, _ in plan.outputs} | {name for o in others for name in o.inputs}
    alone = learnt - shared
    # A table's entries are of the exponent that calibration gave its result.
    return [
        layer
        for layer in plan.convs
        if layer.rounded and layer.function is None and layer.name in alone
    ]


def _settle_exponents(quantized):
    for layer in quantized.plan.convs:
        module = quantized.layer(layer.name)
        settle_exponents(module)
        module.exponents = None
    if hasattr(quantized, "learned_exponents"):
        del quantized.learned_exponents


def settle_result(conv):
    """Give an unrounded result the exponent of its finest channel, which training may move."""
    if conv.plan.rounded:
        return
    used = conv.indices().transpose(0, 1).flatten(1).any(1)
    floor = conv.input_exponent if conv.skip_exponent is None else conv.skip_exponent
    conv.exponent.copy_(floor)
    conv.exponent.copy_(torch.where(used, conv.units(), floor).max())
    # The weights' exponent with which a channel of zeros has the result's units, as it must.
    silent = conv.input_exponent + conv.plan.fraction_bits - conv.exponent
    conv.weight_exponent.copy_(torch.where(used, conv.weight_exponent, silent))
