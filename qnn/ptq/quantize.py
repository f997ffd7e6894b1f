"""A float model to a quantized one: capture, fusion, calibration, formats, rounding."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from qnn.errors import ModelError
from qnn.frontend.capture import capture, input_counts
from qnn.frontend.check import check
from qnn.frontend.fuse import fuse
from qnn.frontend.graph import FloatGraph
from qnn.frontend.onnx.grids import grid_of
from qnn.frontend.passes.drop_quantizers import drop_quantizers
from qnn.frontend.run import blocks_of, given_of, shape_of, unfinished
from qnn.ir.graph import results_of
from qnn.nn.model import QuantizedModel
from qnn.nn.preprocess import Statistic, checked_inputs
from qnn.nn.round import Augment, Source, round_quantized
from qnn.ptq.auto.activations import USUAL_BITS
from qnn.ptq.auto.automatic import Subject, automatic
from qnn.ptq.auto.options import Auto
from qnn.ptq.check_options import check_formats, check_rounding, check_searched
from qnn.ptq.correct_bias import correct_bias, correct_bias_if_better
from qnn.ptq.data import (
    Data,
    as_images,
    batches_of,
    joined,
    labels_beside,
    listed,
    reals,
    warn_if_same,
)
from qnn.ptq.formats import ChannelChoice, Choice
from qnn.ptq.given.as_given import as_given, check_own, check_plain, has_quantizers
from qnn.ptq.keep_grid import keep_grid
from qnn.ptq.labelled_values import labelled_values
from qnn.ptq.sensitivity import Budget
from qnn.ptq.teacher import Teacher
from qnn.ptq.uncalibrated import Uncalibrated
from qnn.quant.rounding import Checkpoint, Progress
from qnn.quant.ties import TIES, check_ties
from qnn.tasks.kinds import TaskKind
from qnn.tasks.outputs import Asked, find_tasks, fitting
from qnn.tasks.seen import SEEN, as_seen

BLIND = ("auto", "nearest")  # roundings that build the network themselves
ANSWERED = ("auto", "discquant", "latent")  # roundings that compare answers of the whole network


def quantize(
    model: nn.Module | ExportedProgram | FloatGraph,
    data: Data,
    weight_bits: Choice = 3,
    activation_bits: int | str = "auto",
    rounding: str = "auto",
    terms: ChannelChoice | Budget | str = "auto",
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
    target: float | None = None,
    seconds: float | None = None,
    auto: Auto | None = None,
    requantize: bool = False,
    ties: str = "even",
) -> QuantizedModel:
    """The quantized network of ``model``, in evaluation mode; ``model`` is left as it was.

    Without a word, it is the cheapest found that loses half a point of accuracy at most, or 2
    percent of squared error, on images held out of ``data``, and each step is told in a line.
    A network of Brevitas with scales that are powers of two is taken as it is instead.

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
        layer that lose least on ``data`` with such a mean, or "auto", the fewest that reach the
        target. Each term takes a step of the array. Activations of "auto" have 8 bits, or, where
        terms or rounding are "auto" too, the fewest more that leave half of the target to weights
    mean, std : the model takes ``(pixel / 255 - mean) / std``, one value or one per channel;
        without them it takes reals; of several inputs one entry each, None where it takes reals
    bias_correction : let biases take back the shift of means that rounding made on ``data``; None:
        where that brings the outputs of images held back from ``data`` nearer to the float ones
        and changes no more of their answers than chance explains
    rounding, rounding_options : how weights go to their grid: "auto", layer by layer so that each
        gives what the float one does (see ``qnn.ptq.round_layers``), and then all together where
        that helps (see ``qnn.ptq.auto.learn``), or a method of ``qnn.quant.rounding.ROUNDINGS``,
        and the method's options
    rounding_data, augment : what the method learns from, without labels, by default ``data``; and
        what changes a batch of it, with a generator
    progress : told steps done, steps in all and the share of weights already rounded; of "auto"
        the layers of the design at hand, and then steps of learning
    checkpoint : a file that the method writes as it goes, and goes on from if it is there
    task : what the outputs are for, of ``qnn.tasks.kinds.TASKS``, which decides the losses of
        rounding and of a ``Budget``; None: as labels beside the images tell, or else the outputs'
        shapes (see ``find_task``); of several outputs one entry each
    target, seconds : points of accuracy, or percent of the task's own squared error, which labels
        beside the images tell (see ``qnn.ptq.labelled_values``), that "auto" may lose, by default
        0.5 or 2; and after which it tries no further design, by default 300, and more for
        networks of more products than ResNet-20
    auto : what layers cost in a search, and who is told of it; None: products, and ``print``
    requantize : leave out quantizers that the network brings along, but for their ranges
    ties : "even", or "up": halves may go up where such a network rounds them otherwise, and no
        layer is computed twice for that

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
    check_formats(weight_bits, activation_bits, terms)
    asked = {"target": target, "seconds": seconds}
    check_searched(rounding, terms, asked)
    check_ties(ties)
    auto = replace(auto or Auto(), **{k: v for k, v in asked.items() if v is not None})
    learns_by = {
        "rounding_options": rounding_options,
        "rounding_data": rounding_data,
        "augment": augment,
        "bias_correction": bias_correction,
    }
    check_rounding(rounding, terms, learns_by)
    counts = _input_counts(model)
    data = listed(data)
    given = batches_of(data, counts)
    # Checked before anything is computed, which may take minutes.
    learnt = given if rounding_data is None else batches_of(rounding_data, counts)
    pixels = checked_inputs(mean, std, [images.shape[1] for images in given[0]])
    batches = _reals(given, pixels)
    warn_if_same(batches)
    bits = USUAL_BITS if isinstance(activation_bits, str) else activation_bits
    captured = _float_graph(model, batches[0])
    fused, kept_types = fuse(drop_quantizers(captured) if requantize else captured), {}
    grid = grid_of(model)
    anew = requantize and grid is None and not has_quantizers(captured)
    check_own({"requantize": anew, "ties": ties != TIES[0] and not has_quantizers(fused)})
    if has_quantizers(fused):
        check_plain(rounding, terms, weight_bits, asked | {"bias_correction": bias_correction})
        blocks = [blocks_of(fused, batch) for batch in batches]
        found, told = as_given(fused, blocks, pixels, (weight_bits, bits), terms, ties)
        auto.report(str(told))
        return found
    if grid is not None:
        fused, kept_types = keep_grid(fused, grid, weight_bits, pixels)
    network = Uncalibrated(fused, pixels, weight_bits, bits, kept_types)
    graph = network.graph
    # From here on sequences and tokens are blocks, as images are.
    batches, learnt = ([blocks_of(graph, b) for b in each] for each in (batches, learnt))
    automatic_terms = isinstance(terms, str)
    asks_answers = isinstance(terms, Budget) or automatic_terms or rounding in ANSWERED
    kinds = _kinds(graph, data, batches[0], task, asks_answers)

    searched = _of_search(checkpoint, rounding)
    if automatic_terms or rounding == "auto":
        wanted = labelled_values(graph, data, batches, kinds)
        source = Subject(network, joined(batches), kinds, activation_bits == "auto", wanted)
        fixed = None if automatic_terms else terms
        if isinstance(terms, Budget):
            fixed = _budgeted(terms, network.calibrate(batches), batches, kinds)
        quantized, start = automatic(source, fixed, auto, searched, progress, rounding=rounding)
        if rounding in BLIND:
            return quantized
        terms = quantized.plan.channel_terms
    else:
        start = network.calibrate(batches)
    if isinstance(terms, Budget):
        terms = _budgeted(terms, start, batches, kinds)
    quantized = start.build(terms, rounding)
    # Building has rounded to nearest already.
    if rounding != "nearest":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        teacher = Teacher(start.graph, pixels, device)
        source = Source(teacher, _learnt(learnt, pixels), augment, kinds)
        kept = None if checkpoint is None else Checkpoint(Path(checkpoint))
        round_quantized(quantized, source, rounding_options, progress, kept, device)
        _forget(searched)
    # Last, as it takes back what all of the rounding before has shifted.
    _correct_bias(quantized, start.graph, joined(batches), kinds, bias_correction)
    return quantized


def _correct_bias(quantized, graph, images, kinds, wanted):
    if wanted is None:
        correct_bias_if_better(quantized, graph, images, kinds)
    elif wanted:
        correct_bias(quantized, graph, images)


def _of_search(checkpoint, rounding) -> Path | None:
    """The search's file: beside that of a rounding method which has a checkpoint of its own."""
    if checkpoint is None:
        return None
    return Path(checkpoint if rounding in BLIND else f"{checkpoint}.terms")


def _forget(searched):
    if searched is not None:
        searched.unlink(missing_ok=True)


def _kinds(graph, data, batch, task, asks_answers):
    """What each output is for; the first batch is of blocks."""
    # Labels that fit no task are no matter to what never looks at answers.
    shapes = [each.shape for each in results_of(graph.outputs, graph.host)]
    tells = asks_answers and isinstance(data, list)
    labels = labels_beside(data[0], len(batch), len(shapes)) if tells else None
    # Labels of some outputs alone are usual.
    labels = fitting(shapes, labels) if len(shapes) > 1 else labels
    shape = graph.inputs[0].shape if len(graph.inputs) == 1 else None
    kinds = find_tasks(shapes, labels, task, shape)
    if not asks_answers or TaskKind.RECONSTRUCTION not in kinds:
        return kinds
    some = tuple(images[:SEEN] for images in batch)
    with torch.no_grad():
        answers = [each.numpy() for each in unfinished(graph, *some)]
    return as_seen(kinds, task, given_of(graph, some)[0].numpy(), answers)


def _budgeted(budget, start, batches, kinds):
    """The terms that a ``Budget`` gives each layer."""
    # Of one term, whatever is chosen: what is measured is each layer's own rounding.
    return budget.choose(start.build(1, "nearest"), joined(batches), kinds)


def _check_model(model):
    float_module = isinstance(model, nn.Module) and not isinstance(model, QuantizedModel)
    if not float_module and not isinstance(model, FloatGraph | ExportedProgram):
        raise TypeError(
            f"quantize needs a float model, an nn.Module, not {type(model).__name__}; give the "
            f"network itself"
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


def _learnt(batches, pixels):
    """What a rounding method learns from of each input, pixels if all of an input are pixels."""
    each = zip(*batches, strict=True)
    kept = [
        parts
        if table and all(part.dtype == torch.uint8 for part in parts)
        else [reals(part, table) for part in parts]
        for parts, table in zip(each, pixels, strict=True)
    ]
    return joined(list(zip(*kept, strict=True)))
