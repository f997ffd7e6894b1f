"""One network of a list, from its factory to verified integers, with the seconds of each part."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from qnn.bench.zoo.build import SEED, build, normal_images
from qnn.bench.zoo.listed import ListedNetwork
from qnn.bench.zoo.noise import noise_left
from qnn.design import Design, compile
from qnn.errors import QnnError, QnnWarning
from qnn.frontend.capture import capture, tried
from qnn.frontend.faults import FaultyModel
from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import unfinished
from qnn.ptq.export import export
from qnn.ptq.quantize import quantize
from qnn.tasks.measures import signal_to_noise
from qnn.tasks.structures import tensors_of
from sim.verify import verify

# As near to the float network as four terms come: what is left is the error of lowering. Of four
# terms, codes of 4 bits have 58 dB and those of 3 bits 47 (see ``hw.spec.isa.codes``).
FINE = {"terms": 4, "weight_bits": 4, "activation_bits": 16}
MOST_TERMS = {**FINE, "terms": 7}  # weights lose less than activations of 16 bits do
LOW = 30.0  # dB, below which one asks why
Tell = Callable[..., None]  # takes parts of the network's row by their names


@dataclass(frozen=True)
class ZooSettings:
    """What all networks of a list are measured with.

    Members
    -------
    folder : of the list
    config : the accelerator's configuration, by name
    terms : of every weight, in the network that is compiled
    """

    folder: Path
    config: str
    terms: int


@dataclass
class _Clock:
    """Seconds of each part, told when the part has ended."""

    tell: Tell

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self.tell(ended_in=name)
        started = time.perf_counter()
        yield
        self.tell(part_seconds={name: round(time.perf_counter() - started, 3)})


def measure(network: ListedNetwork, settings: ZooSettings, tell: Tell) -> None:
    """Tell all that a row of the table has, as soon as it is known.

    A network that is refused tells what it lacks, and one that the configuration has no room for
    why; neither is an error.
    """
    clock = _Clock(tell)
    with warnings.catch_warnings():
        # What random images reach says nothing of a user's.
        warnings.simplefilter("ignore", QnnWarning)
        with clock.part("build"):
            model = build(network, settings.folder)
        try:
            _quantized(model, network, settings, tell, clock)
        except FaultyModel as error:
            lacks = [f"{each.site.operator or 'model'}: {each.problem}" for each in error.faults]
            tell(accepted=False, lacks=list(dict.fromkeys(lacks)))
        except QnnError as error:
            tell(accepted=False, lacks=[str(error)])


def _quantized(model, network, settings, tell, clock):
    images = normal_images(network.shapes, SEED + 2, fewer=2)
    with clock.part("capture"):
        # Once for all that follows: export takes longer than the rest of a small network.
        graph = capture(model, images)
    with clock.part("fidelity"):
        found = _fidelity(model, graph, network, images, FINE)
        tell(fidelity_db=found)
        if found is not None and found < LOW:
            tell(most_terms_db=_fidelity(model, graph, network, images, MOST_TERMS))
            tell(noise_db=noise_left(graph, normal_images(network.shapes, SEED + 3, fewer=2)))
    with clock.part("quantize"):
        quantized = quantize(graph, images, rounding="nearest", terms=settings.terms)
        integers = export(quantized)
    tell(accepted=True, lacks=[], macs=sum(node.macs for node in integers.nodes))
    try:
        with clock.part("compile"):
            design = compile(integers, settings.config)
    except QnnError as error:
        tell(unfit=str(error))
        return
    with clock.part("verify"):
        _verified(design, network, tell)


def _fidelity(model: nn.Module, graph: FloatGraph, network, images, formats) -> float | None:
    """How far the error of integers of ``formats`` lies below the float network's outputs, in dB.

    Of several outputs, the least.
    """
    quantized = quantize(graph, images, rounding="nearest", **formats)
    # Others than those that the scales were chosen on.
    fresh = normal_images(network.shapes, SEED + 3, fewer=2)
    with torch.no_grad():
        wanted, got = tried(model, fresh), tensors_of(quantized(*fresh))
        # Numbers of classes have no noise; what they were chosen by has.
        if not all(each.is_floating_point() for each in wanted):
            wanted, got = unfinished(graph, *fresh), quantized.unfinished(*fresh)
    found = [signal_to_noise(w.numpy(), g.numpy()) for w, g in zip(wanted, got, strict=True)]
    known = [value for value in found if value is not None]
    return round(min(known), 2) if known else None


def _verified(design: Design, network, tell):
    """Every value of one image, on the functional simulator, and the cycles that it takes."""
    images = tuple(x[:1].numpy() for x in normal_images(network.shapes, SEED + 4))
    report = verify(design, images if len(images) > 1 else images[0], "functional")
    tell(mismatches=report.mismatches, values=report.values_compared, failure=report.failure)
    found = design.backend.costs(design.artifact)
    tell(cycles=round(found.cycles), utilisation=round(found.utilisation, 4))
