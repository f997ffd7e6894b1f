"""Quantization without an expert: data are split, networks prepared, and the search is run."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from hw.spec.isa.codes import MOST_FACTOR_BITS
from qnn.errors import CompileError
from qnn.nn.layer_plans import products_of
from qnn.nn.learn import folded_copy
from qnn.nn.model import QuantizedModel
from qnn.ptq.align import align
from qnn.ptq.auto.activations import Activations, choose_activations
from qnn.ptq.auto.builder import Builder
from qnn.ptq.auto.designs import designs_at
from qnn.ptq.auto.held_out import HeldOut, Loss
from qnn.ptq.auto.near_images import calibrated_on_near
from qnn.ptq.auto.options import Auto
from qnn.ptq.auto.search import Search
from qnn.ptq.auto.split import Split, taken
from qnn.ptq.auto.starts import CLEARLY, Start
from qnn.ptq.auto.steps import Steps
from qnn.ptq.auto.told import told
from qnn.ptq.calibrated import Calibrated
from qnn.ptq.chunks import chunks
from qnn.ptq.data import chosen_labels
from qnn.ptq.equalise import equalise
from qnn.ptq.export import export
from qnn.ptq.formats import ChannelChoice, by_convolution
from qnn.ptq.uncalibrated import Uncalibrated
from qnn.quant.rounding import Progress
from qnn.tasks.kinds import TaskKind
from qnn.tasks.lost import OWN_ERROR


@dataclass(frozen=True, eq=False)
class Subject:
    """What a network is to be made of.

    Members
    -------
    network : the fused float network, with its formats
    images : (count, ...) of each input, what the float model takes
    kinds : what each output is for
    chooses_bits : whether activations get the bits that the target needs, ``network``'s at least
    wanted : of each output what its values should be, (count, ...), as labels tell; None: of none
    """

    network: Uncalibrated
    images: tuple[Tensor, ...]
    kinds: Sequence[TaskKind]
    chooses_bits: bool = False
    wanted: Sequence[Tensor | None] | None = None


def automatic(
    given: Subject,
    terms: ChannelChoice | None,
    options: Auto,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    *,
    rounding: str = "auto",
) -> tuple[QuantizedModel, Calibrated]:
    """The network with such terms, or the cheapest found that loses no more than the target.

    Parameters
    ----------
    terms : None: they are chosen
    checkpoint : a file that the search writes as it goes, and goes on from if it is there
    progress : told of the design at hand how far it is, as rounding methods tell
    rounding : the method that the network is for; any but "nearest" is judged by layers that are
        rounded in order, and "auto" alone lets their weights learn together

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
    steps, seconds = Steps(options.report), options.seconds_for(_products(given.network.graph))
    options.report(
        f"auto: {_counted(given.images)}; after {seconds:.0f} s no further design is tried"
    )
    plain, numbers = calibrated_on_near(given.network, given.images, options.report)
    images = taken(given.images, numbers)
    steps.say(f"types of all tensors chosen on {_counted(images)}")
    split = Split.of(given.images, numbers)
    wanted = chosen_labels(tuple(given.wanted or [None] * len(given.kinds)), split.judges)
    out = HeldOut.of(plain.graph, split.held, given.kinds, wanted)
    if out.guesses:
        options.report(
            f"values: the task's own squared error is taken as {OWN_ERROR:g} of their variance, as "
            f"nothing tells it; labels beside the images would"
        )
    seen = *images, *split.held, *split.lessons, *wanted
    owner = _owner(rounding, given, plain, seen, terms, options)
    rounded = rounding != "nearest"
    with designs_at(checkpoint, owner) as designs:
        network, found = given.network, None
        if given.chooses_bits:
            usual = {plain.activation_bits: plain}
            found, plain = _activations(given, images, usual, out, options, designs)
            network = network.with_bits(found.bits)
            steps.say(f"{found.bits}-bit activations chosen")
        starts = {"as it is": Start(lambda: plain)}
        # Only what rounds layers in order makes use of channels of other sizes.
        if rounded:
            starts |= _other_starts(network, plain, images, split.fitted)
        builder = Builder(starts, split, out, designs, rounded, progress or (lambda *_: None))
        steps.say(f"{split}, prepared")
        search = Search(builder, options, steps, seconds, learns=rounding == "auto")
        quantized, outcome = search.run(terms)
        outcome = replace(outcome, activations=found or outcome.activations)
        start = search.start
    for line in told(outcome, search.unit):
        options.report(line)
    if options.outcome is not None:
        options.outcome(outcome)
    return quantized, start


def _other_starts(network, plain, images, fitted) -> dict[str, Start]:
    """Networks of the same values, by what was done to the sizes of channels inside."""
    bits = by_convolution("weight_bits", network.weight_bits, network.graph)

    def aligned(graph):
        found = align(graph, chunks([fitted]), bits)
        # Behind bounds as those of ReLU6 no channel is free.
        same = found is network.graph
        return plain if same else network.calibrate([images], found, warn=False)

    in_line = Start(lambda: aligned(network.graph))

    def equalised():
        found = equalise(network.graph, chunks([fitted]))
        return in_line.network if found is network.graph else aligned(found)

    # A small gain by channels of equal weights may be one on these images alone, as ResNet-20's
    # test images have shown.
    return {
        "channels aligned with the grid": in_line,
        "channels equalised and aligned": Start(equalised, CLEARLY),
    }


def _activations(given, images, known, out, options, designs) -> tuple[Activations, Calibrated]:
    """The bits of activations that the target needs, of those that the hardware has.

    ``known`` has by bits what was calibrated on ``images`` before.
    """

    @functools.cache
    def calibrated(bits):
        return known.get(bits) or given.network.with_bits(bits).calibrate([images], warn=False)

    built = functools.cache(lambda bits: calibrated(bits).build(1, "auto"))

    def has(bits):
        try:
            _check_bits(export(built(bits)), bits, options.costs)
        except CompileError as error:
            options.report(f"{bits}-bit activations are left out: {error}")
            return False
        return True

    def chosen():
        target = options.target_for(out.kinds)
        found = choose_activations(lambda bits: out.loss(folded_copy(built(bits))), has, target)
        # JSON has texts as keys.
        losses = {str(bits): asdict(loss) for bits, loss in found.losses.items()}
        return {"bits": found.bits, "losses": losses}

    noted = designs.note("activations", chosen)
    losses = {int(bits): Loss(**fields) for bits, fields in noted["losses"].items()}
    return Activations(noted["bits"], losses), calibrated(noted["bits"])


def _check_bits(graph, bits, costs):
    """Raise for activations that the array does not have, or, where none is named, none has."""
    if graph.products and bits > MOST_FACTOR_BITS:
        name = graph.products[0].name
        raise CompileError(f"multiply '{name}' needs at most {MOST_FACTOR_BITS} on any array")
    if costs is not None:
        costs(graph)


def _owner(method, given, plain, images, terms, options) -> dict[str, Any]:
    """What decides all that a checkpoint has: see ``designs_at``."""
    costs = options.costs
    # A function's text would be another one in another process.
    named = getattr(costs, "__qualname__", costs)
    kinds = [kind.value for kind in given.kinds]
    types = sorted(plain.types.items())
    # Losses of values were of their squares alone before.
    measure = [] if all(kind.classifies for kind in given.kinds) else ["growth"]
    bits = "auto" if given.chooses_bits else plain.activation_bits
    return {
        "method": method,
        "options": [terms, options.target, named, kinds, *measure],
        "model": [str(plain.graph), *_parameters(plain.graph)],
        "grid": [plain.weight_bits, bits, plain.pixels, types],
        "data": list(images),
    }


def _counted(images) -> str:
    return f"{len(images[0])} image{'s' * (len(images[0]) > 1)}"


def _products(graph) -> int:
    """Of an image, by weights that learn."""
    learnt = (conv for conv in graph.convs if not conv.fixed)
    return sum(products_of(conv.weight.shape, conv.shape) for conv in learnt)


def _parameters(graph) -> Iterator[Tensor]:
    for conv in graph.convs:
        held = conv.batchnorm
        norm = () if held is None else (held.gamma, held.beta, held.mean, held.var)
        yield from (part for part in (conv.weight, conv.bias, *norm) if part is not None)
