"""Quantization without an expert: data are split, networks prepared, and the search is run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.nn.model import QuantizedModel
from qnn.ptq.auto.designs import designs_at
from qnn.ptq.auto.held_out import HeldOut
from qnn.ptq.auto.options import Auto
from qnn.ptq.auto.search import Search
from qnn.ptq.auto.told import told
from qnn.ptq.calibrated import Calibrated
from qnn.ptq.data import chunks, sample
from qnn.ptq.equalise import equalise
from qnn.ptq.formats import ChannelChoice
from qnn.tasks.kinds import TaskKind

HELD_OUT = 1024  # images, at most, and half of all
FITTED = 512  # images that weights are fitted to, at most
# Of an input, 512 images of 128 x 128: the tensors of a few layers have to fit in memory.
PIXELS = 1 << 23
FEWEST = 32  # images that weights are fitted to, however large


@dataclass(frozen=True, eq=False)
class Subject:
    """What a network is to be made of.

    Members
    -------
    graph : the fused float network
    images : (count, ...) of each input, what the float model takes
    calibrate : the types of a graph's tensors on such images
    kinds : what each output is for
    """

    graph: FloatGraph
    images: tuple[Tensor, ...]
    calibrate: Callable[[FloatGraph, tuple[Tensor, ...]], Calibrated]
    kinds: Sequence[TaskKind]


def automatic(
    given: Subject,
    terms: ChannelChoice | None,
    options: Auto,
    checkpoint: Path | None = None,
    *,
    rounded: bool = True,
) -> tuple[QuantizedModel, Calibrated]:
    """The network with such terms, or the cheapest found that loses no more than the target.

    Parameters
    ----------
    terms : None: they are chosen
    checkpoint : a file that the search writes as it goes, and goes on from if it is there
    rounded : whether layers are rounded in order, or to nearest

    Returns
    -------
    The network, and what it was built from

    Raises
    ------
    ModelError
        The checkpoint is another run's.
    Interrupted
        A signal asked the search to stop, and its state is in the checkpoint.
    """
    plain, images = _without_outliers(given, options.report)
    fitted, held = _split(images)
    whole = tuple(each[: _most_fitted(images)] for each in images)
    out = HeldOut.of(given.graph, held, given.kinds)
    # Only what rounds layers in order makes use of channels that are alike.
    equal = given.calibrate(equalise(given.graph, chunks([fitted])), images)
    starts = {"as it is": plain, "channels equalised": equal} if rounded else {"as it is": plain}
    method = "auto" if rounded else "nearest"
    with designs_at(checkpoint, _owner(method, given, plain, images, terms, options)) as designs:
        search = Search(starts, fitted, whole, out, options, designs, rounded)
        search.say(
            f"auto: {len(fitted[0])} images to fit, {len(held[0])} held out, at most "
            f"{search.seconds:.0f} s"
        )
        quantized, outcome = search.run(terms)
        start = search.start
    for line in told(outcome, search.unit):
        options.report(line)
    if options.outcome is not None:
        options.outcome(outcome)
    return quantized, start


def _without_outliers(given, report) -> tuple[Calibrated, tuple[Tensor, ...]]:
    """The types on all images but those that cost the others their precision, and the images."""
    images = sample(given.images, HELD_OUT + FITTED)
    while True:
        found = given.calibrate(given.graph, images)
        if not found.outliers:
            return found, images
        count = len(found.outliers)
        which = f"{count} image{'s reach' if count > 1 else ' reaches'} further than all others"
        # Of a few images any is one of a kind.
        if len(images[0]) - count < FEWEST:
            report(f"{which}; fewer than {FEWEST} would be left without")
            return found, images
        report(f"{which}, left out of calibration")
        kept = torch.ones(len(images[0]), dtype=torch.bool)
        kept[list(found.outliers)] = False
        images = tuple(each[kept] for each in images)


def _owner(method, given, plain, images, terms, options) -> dict[str, Any]:
    """What decides all that a checkpoint has: see ``designs_at``."""
    costs = options.costs
    # A function's text would be another one in another process.
    named = getattr(costs, "__qualname__", costs)
    kinds = [kind.value for kind in given.kinds]
    types = sorted(plain.types.items())
    return {
        "method": method,
        "options": [terms, options.target, named, kinds],
        "model": [str(given.graph), *_parameters(given.graph)],
        "grid": [plain.weight_bits, plain.activation_bits, plain.pixels, types],
        "data": list(images),
    }


def _parameters(graph) -> Iterator[Tensor]:
    for conv in graph.convs:
        held = conv.batchnorm
        norm = () if held is None else (held.gamma, held.beta, held.mean, held.var)
        yield from (part for part in (conv.weight, conv.bias, *norm) if part is not None)


def _split(images) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Images that weights are fitted to, and those that judge; one image alone does both."""
    count = len(images[0])
    held = min(HELD_OUT, count // 2)
    if not held:
        return images, images
    rest = tuple(each[held : held + _most_fitted(images)] for each in images)
    return rest, tuple(each[:held] for each in images)


def _most_fitted(images) -> int:
    """How many images weights are fitted to, at most."""
    pixels = max(each[0].numel() // each.shape[1] for each in images)
    return min(FITTED, max(FEWEST, PIXELS // pixels))
