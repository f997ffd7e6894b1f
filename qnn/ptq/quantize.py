"""A float model to a quantized one: capture, fusion, calibration, formats, rounding."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from hw.spec.isa.codes import LEAST_BITS, MOST_BITS
from qnn.errors import ModelError
from qnn.frontend.capture import capture, input_counts
from qnn.frontend.check import check
from qnn.frontend.fuse import fuse
from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import blocks_of, shape_of
from qnn.ir.graph import results_of
from qnn.nn.model import QuantizedModel
from qnn.nn.preprocess import Pixels, Statistic, checked_inputs
from qnn.nn.round import Augment, Source, round_quantized
from qnn.ptq.build import build
from qnn.ptq.calibrate import INPUT_BITS, choose_types, observe
from qnn.ptq.correct_bias import correct_bias, correct_bias_if_better
from qnn.ptq.data import Data, as_images, batches_of, chunks, joined, labels_beside, listed, reals
from qnn.ptq.formats import ChannelChoice, Choice, check_choice, check_number
from qnn.ptq.outliers import Peaks, warn_of_calibration
from qnn.ptq.plans import plan_of
from qnn.ptq.sensitivity import Budget
from qnn.ptq.silence import silence
from qnn.ptq.split_lines import split_lines
from qnn.ptq.split_tables import split_tables
from qnn.ptq.spread_pixels import spread_pixels
from qnn.ptq.teacher import Teacher
from qnn.quant import rounding as roundings
from qnn.quant.pow2 import TERMS
from qnn.quant.rounding import Checkpoint, Progress
from qnn.tasks.outputs import Asked, find_tasks, fitting


def quantize(
    model: nn.Module | ExportedProgram | FloatGraph,
    data: Data,
    weight_bits: Choice = 3,
    activation_bits: int = 8,
    rounding: str = "nearest",
    terms: ChannelChoice | Budget = 1,
    mean: Statistic | Sequence[Statistic] = None,
    std: Statistic | Sequence[Statistic] = None,
    bias_correction: bool | None = None,
    *,
    rounding_options: Mapping[str, Any] | object | None = None,
    rounding_data: Data | None = None,
    augment: Augment | None = None,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    task: Asked = None,
) -> QuantizedModel:
    """The quantized network of ``model``, in evaluation mode; ``model`` is left as it was.

    Parameters
    ----------
    model : the float network, what torch.export gave of it, or the float graph that a frontend has
        read from one
    data : for calibration, what the float model takes: a tensor (images, ...), a tuple with one for
        each input, or batches (a loader's pairs of images and labels too; see ``qnn.ptq.data``);
        with ``mean`` and ``std`` also 8-bit pixels
    weight_bits, activation_bits, terms : the formats; of ``BITS``, 2 to 16, 1 to 7. Those of
        weights may differ by layer: ``{"conv1": 3, "layer3.*": 1, "*": 2}``, where the first
        pattern that matches a layer's name counts, and terms by output channel of a layer:
        ``{"conv1": [2, 1, 1, 2], "*": 1}``; or, for terms, ``Budget(1.6)``, the terms of each
        layer that lose least on ``data`` with such a mean. Each term takes a step of the array
    mean, std : the model takes ``(pixel / 255 - mean) / std``, one value or one per channel;
        without them it takes reals; of several inputs one entry each, None where it takes reals
    bias_correction : let biases take back the shift of means that rounding made on ``data``; None:
        where that brings the outputs of images held back from ``data`` nearer to the float ones
        and changes no more of their answers than chance explains
    rounding, rounding_options : how weights go to their grid, of ``qnn.quant.rounding.ROUNDINGS``,
        and the method's options
    rounding_data, augment : what the method learns from, without labels, by default ``data``; and
        what changes a batch of it, with a generator
    progress : told steps done, steps in all and the share of weights already rounded
    checkpoint : a file that the method writes as it goes, and goes on from if it is there
    task : what the outputs are for, of ``qnn.tasks.kinds.TASKS``, which decides the losses of
        rounding and of a ``Budget``; None: as labels beside the images tell, or else the outputs'
        shapes (see ``find_task``); of several outputs one entry each

    Raises
    ------
    TypeError
        ``model`` is neither a float module nor a float graph.
    ModelError
        The model or its data cannot be quantized; the text says why and what to do.
    ValueError
        A format or method that does not exist.
    """
    _check_model(model)
    _check_formats(weight_bits, activation_bits, terms)
    roundings.rounding(rounding).choose(rounding_options)
    counts = _input_counts(model)
    data = listed(data)
    given = batches_of(data, counts)
    # Checked before anything is computed, which may take minutes.
    learnt = given if rounding_data is None else batches_of(rounding_data, counts)
    pixels = checked_inputs(mean, std, [images.shape[1] for images in given[0]])
    batches = _reals(given, pixels)
    graph = fuse(_float_graph(model, batches[0]))
    graph, given_types = spread_pixels(graph, pixels, max(activation_bits, INPUT_BITS))
    # From here on sequences and tokens are blocks, as images are.
    batches, learnt = ([blocks_of(graph, b) for b in each] for each in (batches, learnt))
    asks_answers = isinstance(terms, Budget) or rounding == "discquant"
    # Labels that fit no task are no matter to what never looks at answers.
    shapes = [each.shape for each in results_of(graph.outputs, graph.host)]
    labels = labels_beside(data, len(given[0]), len(shapes)) if asks_answers else None
    # Labels of some outputs alone are usual.
    labels = fitting(shapes, labels) if len(shapes) > 1 else labels
    shape = graph.inputs[0].shape if len(graph.inputs) == 1 else None
    kinds = find_tasks(shapes, labels, task, shape)
    peaks = Peaks()
    seen = observe(graph, chunks(batches), peaks)
    graph, seen = split_tables(silence(graph, seen), seen, activation_bits)
    graph, seen = split_lines(graph, seen, activation_bits, peaks)
    types = choose_types(graph, seen, activation_bits, _signs(graph, pixels), given_types)
    warn_of_calibration(graph, seen, peaks, types, sum(len(batch[0]) for batch in batches))
    if isinstance(terms, Budget):
        # Of one term, whatever is chosen: what is measured is each layer's own rounding.
        one = plan_of(graph, types, pixels, weight_bits, activation_bits, 1, "nearest")
        terms = terms.choose(build(one, graph, types), joined(batches), kinds)
    plan = plan_of(graph, types, pixels, weight_bits, activation_bits, terms, rounding)
    quantized = build(plan, graph, types)
    # Building has rounded to nearest already.
    if rounding != "nearest":
        _check_one_input(graph, rounding)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        teacher = Teacher(graph, pixels[0], device)
        source = Source(teacher, _learnt(learnt, pixels), augment, kinds)
        kept = None if checkpoint is None else Checkpoint(Path(checkpoint))
        round_quantized(quantized, source, rounding_options, progress, kept, device)
    # Last, as it takes back what all of the rounding before has shifted.
    if bias_correction is None:
        correct_bias_if_better(quantized, graph, joined(batches), kinds)
    elif bias_correction:
        correct_bias(quantized, graph, joined(batches))
    return quantized


def _check_model(model):
    float_module = isinstance(model, nn.Module) and not isinstance(model, QuantizedModel)
    if not float_module and not isinstance(model, FloatGraph | ExportedProgram):
        raise TypeError(
            f"quantize needs a float model, an nn.Module, not {type(model).__name__}; give the "
            f"network itself"
        )


def _check_formats(weight_bits, activation_bits, terms):
    if isinstance(weight_bits, Budget):
        raise TypeError(
            "quantize needs weight_bits as a number, because an array has codes of one width, not "
            "a Budget; give it as terms"
        )
    check_choice("weight_bits", weight_bits, LEAST_BITS, MOST_BITS)
    # More than 16 bits are an unrounded result's alone.
    check_number("activation_bits", activation_bits, 2, 16)
    if not isinstance(terms, Budget):
        check_choice("terms", terms, TERMS[0], TERMS[-1], by_channel=True)


def _check_one_input(graph, rounding):
    if len(graph.inputs) > 1:
        raise ModelError(
            f"{rounding} needs a network of one input, not {len(graph.inputs)}; take "
            f"rounding='nearest'"
        )


def _input_counts(model) -> range:
    if isinstance(model, FloatGraph):
        return range(len(model.inputs), len(model.inputs) + 1)
    return input_counts(model)


def _float_graph(model, example) -> FloatGraph:
    """The graph of a module, captured; one that is given is checked."""
    if not isinstance(model, FloatGraph):
        return capture(model, example)
    check(model)
    blocks = blocks_of(model, example)
    for source, images, block in zip(model.inputs, example, blocks, strict=True):
        if tuple(block.shape[1:]) != source.shape:
            shape = tuple((images if source.axes else as_images(images)).shape[1:])
            raise ModelError(
                f"input '{source.name}' needs data of shape {shape_of(source)}, not {shape}; "
                f"reshape them"
            )
    return model


def _reals(batches, pixels):
    """Batches of what the float model takes."""
    return [tuple(map(reals, batch, pixels)) for batch in batches]


def _signs(graph, pixels: tuple[Pixels | None, ...]) -> dict[str, bool]:
    """Whether an input that takes pixels may be negative, by its name."""
    return {
        source.name: bool((stands_for.values() < 0).any())
        for source, stands_for in zip(graph.inputs, pixels, strict=True)
        if stands_for is not None
    }


def _learnt(batches, pixels):
    """One tensor of what a rounding method learns from, pixels if all of it are pixels."""
    if pixels[0] is None or any(images.dtype != torch.uint8 for (images,) in batches):
        batches = _reals(batches, pixels)
    (images,) = joined(batches)
    return images
