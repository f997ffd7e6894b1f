"""The types that a network's own quantizers give its tensors; inputs and joins that fit them."""

from dataclasses import replace

from qnn.errors import ModelError
from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.conv import identity
from qnn.frontend.rewrite import Rewrite
from qnn.functions.given import GivenQuantizer
from qnn.ptq.given.sums import behind, is_power
from qnn.quant.qtype import QType

MOST_BITS = 16  # of activations, as the array has them
REQUANTIZE = "or quantize its float network with requantize=True (--requantize)"


def check_given(graph: FloatGraph) -> None:
    """Return if every quantizer of the network has a type of ours.

    Raises
    ------
    ModelError
        One has none; the text names its layer.
    """
    for node in graph.nodes:
        given = node.given
        if given is not None:
            _check(given)


def _check(given):
    if given.fault:
        raise ModelError(f"quantizer '{given.layer}' {given.fault}, {REQUANTIZE}")
    if given.exponent is None:
        raise ModelError(
            f"quantizer '{given.layer}' needs a scale that is a power of two, but has "
            f"{given.scale:.6g}; use fixed-point quantizers such as Int8ActPerTensorFixedPoint, "
            f"{REQUANTIZE}"
        )
    try:
        bits = given.type.bits
    except ValueError as error:
        raise ModelError(f"quantizer '{given.layer}': {error}; change it, {REQUANTIZE}") from None
    if bits > MOST_BITS:
        raise ModelError(
            f"quantizer '{given.layer}' needs at most {MOST_BITS} bits, but has {bits}; give it "
            f"fewer, {REQUANTIZE}"
        )


def absorb_inputs(graph: FloatGraph) -> tuple[FloatGraph, dict[str, QType], dict[str, str]]:
    """Inputs of the types that quantizers behind them have.

    Returns
    -------
    The graph without copies that would change no value, the types by the inputs' names, and why
    inputs may be other integers.
    """
    rewrite, types, inexact = Rewrite(graph), {}, {}
    for source in graph.inputs:
        readers = graph.users(source.name)
        found = {_type_before(node) for node in readers}
        type = found.pop() if len(found) == 1 else None
        if type is None:
            inexact[source.name] = "this input has no quantizer of its own"
            continue
        if any(node.given.rounding not in ("EVEN", "UP", "DPU") for node in readers):
            inexact[source.name] = "inputs are rounded to nearest here"
        types[source.name] = type
        # A copy that has the input's own range changes no value.
        for node in readers:
            same = node.given.type == type and (node.given.low, node.given.high) == (
                type.low,
                type.high,
            )
            if same and _line(node) == (1.0, 0.0) and not graph.is_output(node.name):
                rewrite.redirect(node.name, source.name)
                rewrite.exchange(node.name)
    return rewrite.graph(), types, inexact


def _type_before(node):
    """The type of an input of which a node is the quantizer alone, or behind ``x * 2**n + m``."""
    line = _line(node)
    if line is None:
        return None
    (factor, shift), given = line, node.given
    # In steps of the quantizer, which the input then has, too.
    steps = shift / given.scale
    if steps % 2:
        return None
    moved = replace(given, scale=given.scale / factor, zero_point=given.zero_point + int(steps))
    # The same integers, from another one on: an even number of steps leaves halves what they are.
    half = 1 << given.bits - 1
    low = moved.low
    if low == 0 and moved.high < 1 << given.bits:
        return QType(max(given.bits, 2), False, moved.exponent)
    zero = -half - low
    return QType(given.bits, True, moved.exponent, zero) if -half < zero < half else None


def _line(node):
    """Factor and shift of a node that is ``Q(x * factor + shift)``, alike in all channels."""
    if not node.weighs or node.given is None or node.given.rounding == "SIGN":
        return None
    alone = node.diagonal and node.pointwise and node.window.stride == (1, 1)
    if not (alone and node.fixed and node.skip is None and node.function is None):
        return None
    factors, shifts = behind(node)
    factors = factors * node.weight.double().flatten()
    alike = bool((factors == factors[0]).all() and (shifts == shifts[0]).all())
    power = bool(is_power(factors[:1]).all()) and float(factors[0]) > 0
    return (float(factors[0]), float(shifts[0])) if alike and power and not node.clamped else None


def given_types(graph: FloatGraph, inputs: dict[str, QType]) -> dict[str, QType]:
    """The types of all tensors that quantizers give one, those of what selects of them too."""
    types = dict(inputs)
    for node in graph.nodes:
        given = node.given
        if given is not None:
            types[node.name] = given.type
        elif node.shares_type and all(name in types for name in node.inputs):
            types[node.name] = types[node.inputs[0]]
    return types


def unify_joins(graph: FloatGraph, inputs: dict[str, QType]) -> FloatGraph:
    """Give tensors that are joined one type, which has all values of theirs.

    Raises
    ------
    ModelError
        There is no such type.
    """
    types, rewrite = given_types(graph, inputs), Rewrite(graph)
    for node in graph.nodes:
        own = [types.get(name) for name in node.inputs]
        if not node.shares_type or None in own or len(set(own)) < 2:
            continue
        common = _common(node, own)
        copies = {
            name: replace(
                identity(rewrite.fresh(f"{name}.common"), graph[name]), given=common, fixed=True
            )
            for name, type in zip(node.inputs, own, strict=True)
            if type != common.type
        }
        names = tuple(copies[n].name if n in copies else n for n in node.inputs)
        rewrite.exchange(node.name, *copies.values(), replace(node, inputs=names))
        types |= dict.fromkeys((*names, node.name), common.type)
    return rewrite.graph()


def _common(node, types):
    """The quantizer to the finest steps of some types, which has the values of all."""
    exponent = max(type.exponent for type in types)
    low = min(type.low << exponent - type.exponent for type in types)
    high = max(type.high << exponent - type.exponent for type in types)
    signed = low < 0
    bits = max((-low - 1).bit_length(), high.bit_length()) + signed
    if bits > MOST_BITS:
        raise ModelError(
            f"layer '{node.name}' needs operands of at most {MOST_BITS} bits in the finest of "
            f"their scales, but these take {bits}; give them one quantizer"
        )
    # All values of the operands are whole steps of it, so that nothing is rounded.
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return GivenQuantizer(2.0**-exponent, 0, least, most, bits, signed, "UP", layer=node.name)
