"""A float model to a quantized one: capture, fusion, calibration, and the numbers of each layer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hw.spec.isa.codes import LEAST_BITS, MOST_BITS
from qnn.errors import ModelError
from qnn.frontend.capture import capture
from qnn.frontend.float_graph import Concat, Conv, Graph, Input, MaxPool, Node
from qnn.frontend.fuse import fuse
from qnn.nn.layers import QuantConv
from qnn.nn.model import QuantizedModel
from qnn.nn.plan import ConcatPlan, ConvPlan, InputPlan, LayerPlan, MaxPoolPlan, Plan
from qnn.nn.preprocess import checked, pixel_values
from qnn.nn.round import Augment, Source, round_quantized
from qnn.nn.scales import set_exponents
from qnn.ptq.calibrate import choose_types, observe, unrounded
from qnn.ptq.correct_bias import correct_bias
from qnn.ptq.formats import Choice, by_layer, check_choice, check_number, greatest
from qnn.ptq.sensitivity import Budget
from qnn.ptq.teacher import Teacher
from qnn.quant import activation, pow2
from qnn.quant import rounding as roundings
from qnn.quant.qtype import QType
from qnn.quant.rounding import Checkpoint, Progress

Data = Tensor | Iterable[Tensor | Sequence[Tensor]]
CHUNK = 128  # images at a time in calibration
CLOSE = 2.0**-7  # relative error at which a fixed weight needs no further term


def quantize(
    model: nn.Module,
    data: Data,
    weight_bits: Choice | Budget = 3,
    activation_bits: int = 8,
    rounding: str = "nearest",
    terms: Choice = 1,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    bias_correction: bool = False,
    *,
    rounding_options: Mapping[str, Any] | object | None = None,
    rounding_data: Data | None = None,
    augment: Augment | None = None,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> QuantizedModel:
    """The quantized network of ``model``, in evaluation mode; ``model`` is left as it was.

    Parameters
    ----------
    data : for calibration, what the float model takes: a tensor (images, ...), or batches (a
        loader's pairs of images and labels too); with ``mean`` and ``std`` also 8-bit pixels
    weight_bits, activation_bits, terms : the formats; of ``BITS``, 2 to 16, 1 to 7. Those of
        weights may differ by layer: ``{"conv1": 4, "layer3.*": 3, "*": 3}``, where the first
        pattern that matches a layer's name counts; or ``Budget(2.8)``, the bits of each layer that
        lose least on ``data`` with such a mean
    mean, std : the model takes ``(pixel / 255 - mean) / std``, one value or one a channel;
        without them it takes reals
    bias_correction : let biases take back the shift of means that rounding made on ``data``
    rounding, rounding_options : how weights go to their grid, of ``qnn.quant.rounding.ROUNDINGS``,
        and the method's options
    rounding_data, augment : what the method learns from, without labels, by default ``data``; and
        what changes a batch of it, with a generator
    progress : told steps done, steps in all and the share of weights already rounded
    checkpoint : a file that the method writes as it goes, and goes on from if it is there

    Raises
    ------
    TypeError
        ``model`` is no float module.
    ModelError
        The model or its data cannot be quantized; the text says why and what to do.
    ValueError
        A format or method that does not exist.
    """
    if not isinstance(model, nn.Module) or isinstance(model, QuantizedModel):
        raise TypeError(
            f"quantize needs a float model, an nn.Module, not {type(model).__name__}; give the "
            f"network itself"
        )
    _check_formats(weight_bits, activation_bits, terms)
    roundings.rounding(rounding).choose(rounding_options)
    batches = _batches(data)
    learnt = batches if rounding_data is None else _batches(rounding_data)
    channels = batches[0].shape[1]
    preprocessing = checked(mean, std, channels)
    batches = [_reals(batch, preprocessing) for batch in batches]
    graph = fuse(capture(model, batches[0]))
    values = None if preprocessing is None else pixel_values(*preprocessing)
    seen = observe(graph, (part for batch in batches for part in _images(batch).split(CHUNK)))
    input_signed = None if values is None else bool((values < 0).any())
    types = choose_types(graph, seen, activation_bits, input_signed)
    if isinstance(weight_bits, Budget):
        wide = _model(graph, types, values, MOST_BITS, activation_bits, terms)
        weight_bits = weight_bits.choose(wide, torch.cat([_images(batch) for batch in batches]))
    quantized = _model(
        graph, types, values, weight_bits, activation_bits, terms, rounding, preprocessing
    )
    if rounding != "nearest":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        teacher = Teacher(graph, preprocessing, device)
        source = Source(teacher, _learnt(learnt, preprocessing), augment)
        kept = None if checkpoint is None else Checkpoint(Path(checkpoint))
        round_quantized(quantized, source, rounding_options, progress, kept, device)
    if bias_correction:
        correct_bias(quantized, graph, torch.cat([_images(batch) for batch in batches]))
    return quantized


def _check_formats(weight_bits, activation_bits, terms):
    if not isinstance(weight_bits, Budget):
        check_choice("weight_bits", weight_bits, LEAST_BITS, MOST_BITS)
    check_number("activation_bits", activation_bits, 2, 16)
    check_choice("terms", terms, 1, 7)


def _formats(graph: Graph, weight_bits: Choice, terms: Choice) -> dict[str, tuple[int, int]]:
    """Bits and terms of each convolution."""
    convs = [node for node in graph.nodes if isinstance(node, Conv)]
    names = [n.name for n in convs if not n.fixed], [n.name for n in convs if n.fixed]
    bits = by_layer("weight_bits", weight_bits, *names)
    codes = by_layer("terms", terms, *names)
    return {name: (bits[name], codes[name]) for name in bits}


def _model(
    graph, types, values, weight_bits, activation_bits, terms, rounding="nearest", pixels=None
) -> QuantizedModel:
    """The quantized network, each weight at the nearest value of its grid."""
    layers = _plans(graph, types, _formats(graph, weight_bits, terms), values is not None)
    plan = Plan(
        layers=layers,
        outputs=tuple((o.name, o.shape) for o in graph.outputs),
        weight_bits=greatest(weight_bits),
        activation_bits=activation_bits,
        terms=greatest(terms),
        rounding=rounding,
        mean=pixels and pixels[0],
        std=pixels and pixels[1],
    )
    quantized = QuantizedModel(plan).eval()
    _fill(quantized, graph, types, values)
    return quantized


def _batches(data: Data) -> list[Tensor]:
    """Batches of images, checked."""
    parts = [data] if isinstance(data, Tensor) else list(data)
    images = [part[0] if isinstance(part, tuple | list) and part else part for part in parts]
    if not images or not all(isinstance(image, Tensor) and len(image) for image in images):
        raise ModelError(
            "quantize needs calibration data, a tensor of images or batches of them, not an empty "
            "or other set; give some hundred images"
        )
    if any(image.dim() not in (2, 4) or image.shape[1:] != images[0].shape[1:] for image in images):
        shapes = ", ".join(sorted({str(tuple(image.shape)) for image in images}))
        raise ModelError(
            f"quantize needs calibration data of one shape (images, channels, height, width) or "
            f"(images, features), not {shapes}; reshape them"
        )
    return [image.detach().cpu() for image in images]


def _reals(batch, preprocessing):
    """What the float model takes, finite."""
    if batch.dtype == torch.uint8:
        if preprocessing is None:
            raise ModelError(
                "quantize needs mean and std to take 8-bit pixels, not pixels alone; give both, or "
                "what the float model takes"
            )
        channels = torch.arange(batch.shape[1])[:, None, None]
        values = pixel_values(*preprocessing)[channels, _images(batch).long()]
        return values.float().reshape(batch.shape)
    batch = batch.float()
    if not bool(torch.isfinite(batch).all()):
        raise ModelError(
            "quantize needs finite calibration data, not NaN or infinity; remove those images"
        )
    return batch


def _learnt(batches, preprocessing):
    """One tensor of what a rounding method learns from, pixels if all of it are pixels."""
    if preprocessing is None or any(batch.dtype != torch.uint8 for batch in batches):
        batches = [_reals(batch, preprocessing) for batch in batches]
    return _images(torch.cat(batches))


def _images(batch):
    return batch if batch.dim() == 4 else batch[:, :, None, None]


def _plans(graph, types, formats, pixels) -> tuple[LayerPlan, ...]:
    whole = unrounded(graph)
    plans = []
    for node in graph.nodes:
        type = types[node.name]
        if isinstance(node, Conv):
            plan = _conv_plan(node, type, *formats[node.name])
            plans.append(replace(plan, rounded=node.name not in whole))
        else:
            plans.append(_other_plan(node, type, pixels))
    return tuple(plans)


def _conv_plan(node: Conv, type: QType, weight_bits: int, terms: int) -> ConvPlan:
    if node.fixed:
        terms = _fixed_terms(node, weight_bits, terms)
    return ConvPlan(
        name=node.name,
        inputs=node.inputs,
        shape=node.shape,
        weight_shape=tuple(node.weight.shape),
        weight_bits=weight_bits,
        terms=terms,
        bits=type.bits,
        signed=type.signed,
        bias=node.bias is not None,
        fixed=node.fixed,
        scale=node.scale,
        eps=None if node.batchnorm is None else node.batchnorm.eps,
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        groups=node.groups,
        low=node.low,
        high=node.high,
    )


def _fixed_terms(node: Conv, weight_bits: int, terms: int) -> int:
    """Terms that bring weights which nothing can train close to what they are."""
    if node.batchnorm is not None:
        return max(terms, 4)
    one = node.weight[:1] * node.scale
    most = 7 if weight_bits == 2 else 4  # 2-bit terms add no finer steps, only more of them
    errors = [_relative_error(one, weight_bits, count) for count in range(1, most + 1)]
    target = max(min(errors), CLOSE)
    return 1 + next(index for index, error in enumerate(errors) if error <= target)


def _relative_error(weight, bits, terms):
    exponent = pow2.search_exponent(weight, bits, terms)
    got = pow2.values(pow2.nearest(weight, exponent, bits, terms), exponent, bits)
    wanted = weight.double()
    return float(((got - wanted).abs() / wanted.abs().clamp(min=1e-300)).max())


def _other_plan(node: Node, type: QType, pixels: bool) -> LayerPlan:
    match node:
        case Input():
            return InputPlan(
                name=node.name,
                shape=node.shape,
                bits=type.bits,
                signed=type.signed,
                pixels=pixels,
            )
        case MaxPool():
            return MaxPoolPlan(
                name=node.name,
                inputs=node.inputs,
                shape=node.shape,
                kernel=node.kernel,
                stride=node.stride,
                padding=node.padding,
                dilation=node.dilation,
            )
        case Concat():
            return ConcatPlan(name=node.name, inputs=node.inputs, shape=node.shape)
    raise AssertionError(f"fusion left a {type(node).__name__}")


@torch.no_grad()
def _fill(quantized: QuantizedModel, graph: Graph, types: dict[str, QType], values) -> None:
    """Weights, statistics, exponents and the input's table."""
    source = quantized.input
    source.exponent.fill_(types[source.plan.name].exponent)
    if values is not None:
        source.table.copy_(activation.encode(values, source.type))
    for node in graph.nodes:
        if not isinstance(node, Conv):
            continue
        conv = quantized.layer(node.name)
        _fill_weights(conv, node)
        conv.input_exponent.fill_(types[node.inputs[0]].exponent)
        if node.skip is not None:
            conv.skip_exponent.fill_(types[node.skip].exponent)
        conv.exponent.fill_(types[node.name].exponent)
        set_exponents(conv)


def _fill_weights(conv: QuantConv, node: Conv) -> None:
    conv.weight.copy_(node.weight)
    if node.bias is not None:
        conv.bias.copy_(node.bias)
    if node.batchnorm is not None:
        for name in ("gamma", "beta", "mean", "var"):
            getattr(conv, name).copy_(getattr(node.batchnorm, name))
