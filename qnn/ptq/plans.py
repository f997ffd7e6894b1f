"""The plan of a quantized network: the format of every layer of a fused float graph."""

from collections.abc import Mapping

from torch import Tensor

from qnn.errors import ModelError
from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.concat import FloatConcat
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.max_pool import FloatMaxPool
from qnn.frontend.ops.operator import FloatOperator
from qnn.nn.plan import ConcatPlan, ConvPlan, InputPlan, LayerPlan, MaxPoolPlan, Plan
from qnn.nn.preprocess import Pixels
from qnn.ptq.calibrate import unrounded
from qnn.ptq.formats import Choice, by_layer, greatest
from qnn.quant import pow2
from qnn.quant.qtype import QType
from qnn.quant.search_exponent import search_exponent

# Half of the last place of 8-bit activations at full range is 2**-9: four times less.
CLOSE = 2.0**-7  # relative error at which a fixed weight needs no further term
MOST_FIXED_TERMS = 4  # of 3 to 5 bits, whose further terms are below what activations can show
MOST_FIXED_TERMS_2_BITS = 7  # of 2 bits, where terms add no finer steps, only more of them


def plan_of(
    graph: FloatGraph,
    types: Mapping[str, QType],
    pixels: tuple[Pixels | None, ...],
    weight_bits: Choice,
    activation_bits: int,
    terms: Choice,
    rounding: str,
) -> Plan:
    """The plan of the network that computes a fused ``graph`` with those formats.

    Parameters
    ----------
    types : of every tensor, by name
    pixels : what the pixels of each input stand for; None: it takes reals
    """
    formats = _formats(graph, weight_bits, terms)
    whole = unrounded(graph)
    layers: list[LayerPlan] = [
        _input_plan(source.name, source.shape, types[source.name], stands_for)
        for source, stands_for in zip(graph.inputs, pixels, strict=True)
    ]
    for node in graph.nodes[len(graph.inputs) :]:
        if node.name in formats:
            rounded = node.name not in whole
            layers.append(_conv_plan(node, types[node.name], *formats[node.name], rounded))
        else:
            layers.append(_selecting_plan(node))
    return Plan(
        layers=tuple(layers),
        outputs=tuple((output.name, output.shape) for output in graph.outputs),
        weight_bits=greatest(weight_bits),
        activation_bits=activation_bits,
        terms=greatest(terms),
        rounding=rounding,
    )


def _formats(graph: FloatGraph, weight_bits: Choice, terms: Choice) -> dict[str, tuple[int, int]]:
    """Bits and terms of each convolution."""
    learned = [node.name for node in graph.convs if not node.fixed]
    fixed = [node.name for node in graph.convs if node.fixed]
    bits = by_layer("weight_bits", weight_bits, learned, fixed)
    codes = by_layer("terms", terms, learned, fixed)
    return {name: (bits[name], codes[name]) for name in bits}


def _input_plan(name, shape, type, pixels):
    return InputPlan(name=name, shape=shape, bits=type.bits, signed=type.signed, pixels=pixels)


def _conv_plan(node: FloatConv, type: QType, bits: int, terms: int, rounded: bool) -> ConvPlan:
    return ConvPlan(
        name=node.name,
        inputs=node.inputs,
        shape=node.shape,
        window=node.window,
        weight_shape=tuple(node.weight.shape),
        weight_bits=bits,
        terms=_fixed_terms(node, bits, terms) if node.fixed else terms,
        bits=type.bits,
        signed=type.signed,
        bias=node.bias is not None,
        fixed=node.fixed,
        # Kept apart from the weights, which are then the trained ones, whatever they are multiplied
        # by.
        scale=node.scale,
        eps=None if node.batchnorm is None else node.batchnorm.eps,
        low=node.low,
        high=node.high,
        rounded=rounded,
    )


def _fixed_terms(node: FloatConv, bits: int, terms: int) -> int:
    """Terms that bring weights which nothing can train close to what they are."""
    # Every channel has a factor of its own, and no later layer can make up for its error.
    if node.batchnorm is not None:
        return max(terms, MOST_FIXED_TERMS)
    # All channels are alike: copies, sums or averages.
    one = node.weight[:1] * node.scale
    most = MOST_FIXED_TERMS_2_BITS if bits == 2 else MOST_FIXED_TERMS
    errors = [_relative_error(one, bits, count) for count in range(1, most + 1)]
    # Terms that do not bring it closer are not spent, even where none is close.
    target = max(min(errors), CLOSE)
    return 1 + next(index for index, error in enumerate(errors) if error <= target)


def _relative_error(weight: Tensor, bits: int, terms: int) -> float:
    exponent = search_exponent(weight, bits, terms)
    got = pow2.values(pow2.nearest(weight, exponent, bits, terms), exponent, bits)
    wanted = weight.double()
    return float(((got - wanted).abs() / wanted.abs().clamp(min=1e-300)).max())


def _selecting_plan(node: FloatOperator) -> LayerPlan:
    match node:
        case FloatMaxPool():
            return MaxPoolPlan(
                name=node.name, inputs=node.inputs, shape=node.shape, window=node.window
            )
        case FloatConcat():
            return ConcatPlan(name=node.name, inputs=node.inputs, shape=node.shape)
    raise ModelError(
        f"{node.kind} '{node.name}' is left after fusion, but only conv, maxpool and concat can be "
        f"quantized; give quantize a float graph of operators that fusion knows"
    )
