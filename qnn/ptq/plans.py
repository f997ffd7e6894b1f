"""The plan of a quantized network: the format of every layer of a fused float graph."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from qnn.errors import ModelError
from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.interleave import FloatInterleave
from qnn.frontend.ops.max_pool import FloatMaxPool
from qnn.frontend.ops.multiply import FloatMultiply
from qnn.frontend.ops.operator import FloatOperator, sum_of
from qnn.nn.layer_plans import (
    ConcatPlan,
    ConvPlan,
    InputPlan,
    InterleavePlan,
    LayerPlan,
    MaxPoolPlan,
    MultiplyPlan,
)
from qnn.nn.plan import Plan
from qnn.nn.preprocess import Pixels
from qnn.ptq.calibrate import unrounded
from qnn.ptq.formats import ChannelChoice, Choice, by_convolution, greatest, is_sequence
from qnn.quant import pow2
from qnn.quant.qtype import QType
from qnn.quant.search_exponent import search_exponent

# Half of the last place of 8-bit activations at full range is 2**-9: four times less.
CLOSE = 2.0**-7  # relative error at which a fixed weight needs no further term
# Terms that bring any number as close. With 3 to 5 bits, one leaves up to a third of a number, two
# 1/11, three 1/43 and four 1/171; k terms of 2 bits leave 2**-k.
CLOSE_TERMS = {2: 7, 3: 4, 4: 4, 5: 4}


def plan_of(
    graph: FloatGraph,
    types: Mapping[str, QType],
    pixels: tuple[Pixels | None, ...],
    weight_bits: Choice,
    activation_bits: int,
    terms: ChannelChoice,
    rounding: str,
) -> Plan:
    """The plan of the network that computes a fused ``graph`` with those formats.

    Parameters
    ----------
    types : of every tensor, by name, and of the index of each table
    pixels : what the pixels of each input stand for; None: it takes reals
    terms : of layers that learn; others take the fewest that bring their weights close

    Raises
    ------
    ModelError
        A layer has no format, a format no layer, or terms are not one for each output channel.
    """
    formats = _formats(graph, weight_bits, terms)
    whole = unrounded(graph)
    layers: list[LayerPlan] = [
        _input_plan(source, types[source.name], stands_for)
        for source, stands_for in zip(graph.inputs, pixels, strict=True)
    ]
    for node in graph.nodes[len(graph.inputs) :]:
        if node.name in formats:
            rounded = node.name not in whole
            layers.append(_conv_plan(node, types, *formats[node.name], rounded))
        else:
            layers.append(_plain_plan(node, types))
    return Plan(
        layers=tuple(layers),
        outputs=tuple((output.name, output.shape) for output in graph.outputs),
        output_axes=_axes(graph),
        host=graph.host,
        weight_bits=greatest(weight_bits),
        activation_bits=activation_bits,
        terms=greatest(terms),
        rounding=rounding,
    )


def _axes(graph: FloatGraph) -> tuple[str | None, ...]:
    axes = tuple(output.axes for output in graph.outputs)
    return axes if any(axes) else ()


def _formats(
    graph: FloatGraph, weight_bits: Choice, terms: ChannelChoice
) -> dict[str, tuple[int, int | Sequence[int]]]:
    """Bits and terms of each convolution."""
    bits = by_convolution("weight_bits", weight_bits, graph)
    codes = by_convolution("terms", terms, graph)
    return {name: (bits[name], codes[name]) for name in bits}


def _input_plan(source, type, pixels):
    return InputPlan(
        name=source.name,
        shape=source.shape,
        bits=type.bits,
        signed=type.signed,
        zero_point=type.zero_point,
        pixels=pixels,
        gain=source.gain,
        axes=source.axes,
    )


def _conv_plan(
    node: FloatConv,
    types: Mapping[str, QType],
    bits: int,
    terms: int | Sequence[int],
    rounded: bool,
) -> ConvPlan:
    type = types[node.name]
    if node.fixed:
        most, channel_terms = node.exact_terms or _fixed_terms(node, bits), None
    else:
        most, channel_terms = _terms(node, terms)
    return ConvPlan(
        name=node.name,
        inputs=node.inputs,
        shape=node.shape,
        window=node.window,
        weight_shape=tuple(node.weight.shape),
        weight_bits=bits,
        terms=most,
        channel_terms=channel_terms,
        bits=type.bits,
        signed=type.signed,
        zero_point=type.zero_point,
        bias=node.bias is not None,
        fixed=node.fixed,
        # Kept apart from the weights, which are then the trained ones, whatever they are multiplied
        # by.
        scale=node.scale,
        eps=None if node.batchnorm is None else node.batchnorm.eps,
        low=node.low,
        high=node.high,
        rounded=rounded,
        function=node.function,
        index_bits=_index_bits(node, types),
    )


def _terms(node: FloatConv, terms: int | Sequence[int]) -> tuple[int, tuple[int, ...] | None]:
    """The most terms of a channel, and those of all channels where they differ."""
    if not is_sequence(terms):
        return terms, None
    outputs = len(node.weight)
    if len(terms) != outputs:
        raise ModelError(
            f"layer '{node.name}' needs terms for each of its {outputs} output channels, not "
            f"{len(terms)} numbers; give {outputs}, or one number for all"
        )
    return max(terms), None if len(set(terms)) == 1 else tuple(terms)


def _fixed_terms(node: FloatConv, bits: int) -> int:
    """The fewest terms that bring weights which nothing can train close to what they are."""
    most = CLOSE_TERMS[bits]
    # Every channel has a factor of its own, which moves in training, and no later layer can make
    # up for its error.
    if node.batchnorm is not None:
        return most
    # Of copies, sums and averages all channels are alike.
    alike = bool((node.weight == node.weight[:1]).all())
    one = node.weight[:1] * node.scale if alike else node.weight * node.scale
    return next((k for k in range(1, most) if relative_error(one, bits, k) <= CLOSE), most)


def relative_error(weight: Tensor, bits: int, terms: int) -> float:
    """The greatest error of the nearest sums of codes, as a part of the weight that has it."""
    exponent = search_exponent(weight, bits, terms)
    got = pow2.values(pow2.nearest(weight, exponent, bits, terms), exponent, bits)
    wanted = weight.double()
    return float(((got - wanted).abs() / wanted.abs().clamp(min=1e-300)).max())


def _index_bits(node: FloatOperator, types: Mapping[str, QType]) -> int | None:
    index = types.get(sum_of(node.name))
    return None if index is None else index.bits


def _plain_plan(node: FloatOperator, types: Mapping[str, QType]) -> LayerPlan:
    type = types[node.name]
    match node:
        case FloatMaxPool():
            return MaxPoolPlan(
                name=node.name, inputs=node.inputs, shape=node.shape, window=node.window
            )
        case FloatMultiply():
            return MultiplyPlan(
                name=node.name,
                inputs=node.inputs,
                shape=node.shape,
                bits=type.bits,
                signed=type.signed,
                zero_point=type.zero_point,
                low=node.low,
                high=node.high,
                function=node.function,
                index_bits=_index_bits(node, types),
            )
        case FloatConcat():
            return ConcatPlan(name=node.name, inputs=node.inputs, shape=node.shape)
        case FloatInterleave():
            return InterleavePlan(
                name=node.name,
                inputs=node.inputs,
                shape=node.shape,
                step=node.step,
                offsets=node.offsets,
            )
    raise ModelError(
        f"{node.kind} '{node.name}' is left after fusion, but only conv, multiply, maxpool, concat "
        f"and interleave can be quantized; give quantize a float graph of operators that fusion "
        f"knows"
    )
