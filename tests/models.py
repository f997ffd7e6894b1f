"""Random small networks out of every supported operator, for properties of the whole chain."""

import random
import warnings
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from qnn.errors import QnnWarning
from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.graph import FloatGraph
from qnn.nn.model import QuantizedModel
from tests.blocks import (
    convolutions,
    enlarging,
    functions,
    heads,
    normalising,
    pooling,
    selecting,
    two_tensors,
)
from tests.blocks.inputs import INPUTS
from tests.blocks.parts import shape_after
from tests.nearest import quantize

FAMILIES = MappingProxyType(
    {
        "convolution": convolutions.KINDS,
        "function": functions.KINDS,
        "arithmetic": functions.ARITHMETIC,
        "two tensors": two_tensors.KINDS,
        "enlarging": enlarging.KINDS,
        "normalising": normalising.KINDS,
        "selecting": selecting.KINDS,
        "pooling": pooling.KINDS,
    }
)
# What computes is drawn more often than what only moves values.
WEIGHTS = ("convolution", "convolution", "two tensors", "function", "enlarging", *FAMILIES)
Given = Tensor | tuple[Tensor, ...]  # what a network takes: a tuple where it has several inputs


@dataclass(frozen=True, eq=False)
class Case:
    """A float model, what to quantize it with, and data to try it on.

    Members
    -------
    calibration : what the float model takes
    images : the same, or uint8 pixels where the options have mean and std
    options : keyword arguments of ``quantize``
    mixed : the seed of weight bits and terms for each layer; None: the options' for all
    kinds : names of what the network has been put together from
    """

    model: nn.Module
    calibration: Given
    images: Given
    options: dict
    mixed: int | None
    kinds: tuple[str, ...]


class Network(nn.Module):
    """Inputs that meet, layers one after the other, and a head; some inner tensors come out too."""

    def __init__(self, meeting: nn.Module, body: list, head: nn.Module, seen: set, as_list: bool):
        super().__init__()
        self.meeting, self.body, self.head = meeting, nn.ModuleList(body), head
        self.seen, self.as_list = seen, as_list

    def forward(self, *given: Tensor) -> Tensor | tuple[Tensor, ...] | list[Tensor]:
        x, inner = self.meeting(*given), []
        for number, layer in enumerate(self.body):
            x = layer(x)
            inner += [x] * (number in self.seen)
        found = [self.head(x), *inner]
        if not inner:
            return found[0]
        return found if self.as_list else tuple(found)


@st.composite
def models(draw, most_layers: int = 5, most_size: int = 11) -> Case:
    """A network of up to ``most_layers`` blocks and a head, on images up to ``most_size`` wide.

    Weights are random, some channels nearly or wholly dead; BatchNorm statistics are random too.
    """
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    name = draw(st.sampled_from(tuple(INPUTS)))
    shapes, meeting, shape = INPUTS[name](draw, most_size)
    kinds, body = [f"input: {name}"], []
    for _ in range(draw(st.integers(1, most_layers))):
        kind, layer, shape = draw(blocks(shape))
        kinds.append(kind)
        body.append(layer)
    kind, head = draw(_head(shape))
    seen = {n for n in range(len(body)) if draw(st.integers(0, 11)) == 0}
    model = Network(meeting, body, head, seen, draw(st.booleans()))
    model.train(draw(st.booleans()))
    _randomise(draw, model, generator)
    options, mixed = _formats(draw)
    calibration, images, scaling = _data(draw, shapes, generator)
    kinds += [kind, *["output: inner"] * bool(seen)]
    return Case(model, calibration, images, options | scaling, mixed, tuple(kinds))


@st.composite
def blocks(draw, shape):
    """The name of a kind, a layer or small subnetwork for tensors of ``shape``, and its shape."""
    while True:
        family = draw(st.sampled_from(WEIGHTS))
        kinds = FAMILIES[family]
        name = draw(st.sampled_from(tuple(kinds)))
        layer = kinds[name](draw, shape)
        if layer is not None:
            return f"{family}: {name}", layer, shape_after(layer, shape)


@st.composite
def _head(draw, shape):
    while True:
        name = draw(st.sampled_from(tuple(heads.KINDS)))
        head = heads.KINDS[name](draw, shape)
        if head is not None:
            return f"head: {name}", head


def quantized(
    case: Case,
    most_bits: int = 5,
    activation_bits: int = 16,
    captured: FloatGraph | None = None,
) -> QuantizedModel:
    """The quantized model, for a configuration that has no more than so many bits.

    Layers that are zero for all of so few data become constants, of which nobody is warned here.

    Parameters
    ----------
    captured : the float graph, if there is one already, as capture takes most of the time
    """
    bits = min(case.options["weight_bits"], most_bits)
    fewer = min(case.options["activation_bits"], activation_bits)
    options = {**case.options, "weight_bits": bits, "activation_bits": fewer}
    if captured is None:
        captured = capture(case.model, case.calibration)
    if case.mixed is not None:
        options |= _by_layer(captured, case.mixed, most_bits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QnnWarning)
        return quantize(captured, case.calibration, **options)


def _by_layer(captured, seed, most_bits):
    """Weight bits of each layer that learns, and terms of each of its channels."""
    rng = random.Random(seed)
    layers = [conv for conv in fuse(captured).convs if conv.learned]
    if not layers:
        return {}
    bits = {conv.name: rng.randint(2, most_bits) for conv in layers}
    terms = {conv.name: [rng.randint(1, 4) for _ in conv.weight] for conv in layers}
    return {"weight_bits": bits, "terms": terms}


def as_arrays(given: Given) -> np.ndarray | tuple[np.ndarray, ...]:
    """Arrays of what a network takes."""
    return tuple(x.numpy() for x in given) if isinstance(given, tuple) else given.numpy()


def as_tuple(given: Given) -> tuple[Tensor, ...]:
    """One tensor for each input, or each output."""
    return tuple(given) if isinstance(given, tuple | list) else (given,)


@torch.no_grad()
def results_of(model: QuantizedModel, images: Given) -> tuple[Tensor, ...]:
    """What the quantized model gives for images or pixels, one tensor for each output."""
    given = as_tuple(images)
    pixels = given[0].dtype == torch.uint8
    return as_tuple(model.from_pixels(*given) if pixels else model(*given))


def _formats(draw):
    options = {
        "weight_bits": draw(st.integers(2, 5)),
        "activation_bits": draw(st.sampled_from((8, 8, 8, 4, 5, 6, 7, 9, 10))),
        "terms": draw(st.sampled_from((1, 1, 1, 2, 3, 4))),
        # None tries it and measures, which takes a tenth of the time that a network takes.
        "bias_correction": draw(st.sampled_from((False, False, False, None))),
    }
    return options, draw(st.integers(0, 2**16)) if draw(st.integers(0, 3)) == 0 else None


def _data(draw, shapes, generator):
    """Calibration data, what to try the network on, and the options that say what pixels are."""
    count = draw(st.integers(1, 3))
    if len(shapes) == 1 and len(shapes[0]) == 3 and draw(st.booleans()):
        mean, std = draw(st.sampled_from(((0.0, 1.0), (0.5, 0.25), (0.0, 1 / 255), (0.45, 0.2))))
        pixels = torch.randint(0, 256, (8 + count, *shapes[0]), generator=generator)
        reals = ((pixels.double() / 255 - mean) / std).float()
        return reals[:8], pixels[8:].to(torch.uint8), {"mean": mean, "std": std}
    found = []
    for shape in shapes:
        reals = torch.randn(8 + count, *shape, generator=generator)
        reals = reals.abs() if draw(st.booleans()) else reals
        scale = 2.0 ** draw(st.integers(-4, 4))
        found.append((reals[:8] * scale, reals[8:] * scale * 1.5))
    if len(found) == 1:
        return *found[0], {}
    calibration, images = zip(*found, strict=True)
    return calibration, images, {}


LEARNED = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Linear)


@torch.no_grad()
def _randomise(draw, model: nn.Module, generator: torch.Generator) -> None:
    """Weights of many scales, and statistics as a trained network might have."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            count = (module.num_features,)
            module.running_mean.copy_(torch.randn(count, generator=generator) * 0.3)
            module.running_var.copy_(torch.rand(count, generator=generator) * 2 + 0.05)
            module.weight.copy_(torch.randn(count, generator=generator) * 0.5 + 1)
            module.bias.copy_(torch.randn(count, generator=generator) * 0.3)
        if isinstance(module, LEARNED):
            weight = module.weight
            weight.copy_(torch.randn(weight.shape, generator=generator) * weight[0].numel() ** -0.5)
            weight[0] *= draw(st.sampled_from((1.0, 1.0, 1.0, 2.0**-6, 2.0**-20, 0.0)))
            if module.bias is not None:
                noise = torch.randn(module.bias.shape, generator=generator)
                module.bias.copy_(noise * draw(st.sampled_from((0.1, 0.1, 3.0))))
