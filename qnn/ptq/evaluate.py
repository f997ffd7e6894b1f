"""A network in several formats side by side, and what the rounding of each layer alone costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from qnn.nn.data import Dataset
from qnn.nn.learn import folded_copy, learnable
from qnn.nn.model import QuantizedModel
from qnn.ptq.compare import TestSet
from qnn.ptq.quantize import quantize
from qnn.quant import pow2
from qnn.tasks.measures import signal_to_noise
from qnn.tasks.outputs import Numbers


@dataclass(frozen=True)
class Format:
    """Bits of a weight's code, and terms of a weight."""

    weight_bits: int
    terms: int

    def __str__(self) -> str:
        return f"{self.weight_bits}x{self.terms}"


USUAL = (Format(3, 1), Format(3, 2), Format(3, 3))


@dataclass(frozen=True)
class Scored:
    """What one network gets on the test samples.

    Members
    -------
    name : of the format, or of the layer that alone was rounded
    numbers : of each output; none without labels
    decibels : signal to noise of each output against the float model's; None where they are equal
    """

    name: str
    numbers: tuple[Numbers, ...]
    decibels: tuple[float | None, ...]


@dataclass(frozen=True)
class Evaluation:
    """What ``evaluate`` measured.

    Members
    -------
    float_numbers : of each output of the float model
    formats : in the order in which they were given
    layers : of the first format, the network with only that layer's weights rounded, and with the
        float model's biases
    unrounded : the first format's network with no weight rounded: what activations alone cost
    outputs : names of the outputs
    samples : that were tested
    """

    float_numbers: tuple[Numbers, ...]
    formats: tuple[Scored, ...]
    layers: tuple[Scored, ...]
    unrounded: Scored
    outputs: tuple[str, ...]
    samples: int


def evaluate(
    network: nn.Module,
    data: Tensor | tuple[Tensor, ...],
    test: TestSet | tuple[Tensor, Tensor | None],
    formats: Sequence[Format | tuple[int, int]] = USUAL,
    **options: Any,
) -> Evaluation:
    """Quantize ``network`` in each format and measure it on all of ``test``.

    Parameters
    ----------
    data, options : as ``qnn.quantize`` takes them; without a rounding, weights go to the nearest
    test : samples of a network of one input with their labels, or None for labels; or a ``TestSet``
    formats : bits of a weight's code and terms of a weight; the layers are measured in the first

    Raises
    ------
    ValueError
        There is no format.
    ModelError
        As for ``qnn.quantize``, or samples and labels do not fit the network.
    """
    if not formats:
        raise ValueError("evaluate needs at least one format, not none; give [(3, 1)]")
    formats = [each if isinstance(each, Format) else Format(*each) for each in formats]
    if not isinstance(test, TestSet):
        x, y = test
        pixels = options.get("mean"), options.get("std")
        test = TestSet.of(network, Dataset(x, y, x, y), None, pixels, options.get("task"))
    wanted = test.outputs(network)
    options = {"rounding": "nearest"} | options
    options["task"] = [kind.value for kind in test.kinds]
    scored, first = [], None
    for each in formats:
        made = quantize(network, data, each.weight_bits, terms=each.terms, **options)
        first = made if first is None else first
        scored.append(_scored(str(each), test, wanted, test.outputs(made)))
    # Of corrected or learnt biases, or learnt weights, a layer alone would pay for all the others.
    options |= {"rounding": "nearest", "rounding_options": None, "bias_correction": False}
    plain = quantize(network, data, formats[0].weight_bits, terms=formats[0].terms, **options)
    alone, unrounded = _layers(first, plain, test, wanted)
    names = tuple(output.name for output in first.plan.given)
    return Evaluation(
        test.scores(wanted), tuple(scored), alone, unrounded, names, len(test.inputs[0])
    )


def _scored(name, test, wanted, got) -> Scored:
    decibels = tuple(signal_to_noise(*pair) for pair in zip(wanted, got, strict=True))
    return Scored(name, test.scores(got), decibels)


@torch.no_grad()
def _layers(
    quantized: QuantizedModel,
    plain: QuantizedModel,
    test: TestSet,
    wanted: Sequence[np.ndarray],
) -> tuple[tuple[Scored, ...], Scored]:
    """``plain`` with one layer's weights rounded as in ``quantized``, for each, and with none."""
    # Activations stay rounded: what is told of a layer is its weights' own.
    free = folded_copy(plain)
    unrounded = _scored("activations", test, wanted, test.outputs(free))
    found = []
    for name, conv in learnable(quantized):
        target = free.layer(name).weight
        kept = target.detach().clone()
        rounded = pow2.values(conv.indices(), conv.weight_exponent, conv.plan.weight_bits)
        target.copy_(rounded)
        found.append(_scored(name, test, wanted, test.outputs(free)))
        target.copy_(kept)
    return tuple(found), unrounded
