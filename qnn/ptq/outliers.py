"""Warnings of calibration: images that alone set an exponent, and operands that others' set."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qnn.errors import QnnWarning
from qnn.frontend.graph import FloatGraph
from qnn.quant.activation import choose_type, squared_error
from qnn.quant.histogram import Histogram
from qnn.quant.qtype import QType

KEPT = 4  # images of each tensor that reach furthest; more of the same kind are no outliers
FEWEST = 16  # images: of a handful any may reach twice as far as the others
# A clean data set changes by at most one bit when an image is left out; two are 12 dB.
OUTLIER_BITS = 2
# Operands of a concatenation differ by a bit or two in networks that work well.
OPERAND_BITS = 4


@dataclass(eq=False)
class Peaks:
    """The images whose values reach furthest, of each tensor.

    Members
    -------
    furthest : by tensor, (reach, number of the image, its histogram), the furthest first
    """

    furthest: dict[str, list[tuple[float, int, Histogram]]] = field(default_factory=dict)

    def add(self, name: str, values: Tensor, first: int) -> None:
        """Take in a batch, (images, ...), whose first image has the number ``first``."""
        flat = values.flatten(1)
        # ``abs``, and ``aminmax`` along an axis, take seven times as long.
        reach = torch.maximum(flat.amax(1), -flat.amin(1))
        kept = self.furthest.setdefault(name, [])
        # Histograms of a few images: those of all would take as much as the activations.
        for place in reach.topk(min(KEPT, len(reach))).indices.tolist():
            if len(kept) < KEPT or float(reach[place]) > kept[-1][0]:
                kept.append((float(reach[place]), first + place, Histogram.of(values[place])))
                kept.sort(key=lambda peak: -peak[0])
                del kept[KEPT:]

    def rename(self, name: str, other: str) -> None:
        """Let the images of the tensor ``name`` be those of ``other``."""
        if name in self.furthest:
            self.furthest[other] = self.furthest.pop(name)


@dataclass(frozen=True)
class Outlier:
    """What images cost the others in one layer.

    Members
    -------
    images : their numbers, the furthest first
    reach, others : how far the first reaches, and all that are no outliers
    bits, decibels : of the others' signal to noise that the exponent loses
    """

    layer: str
    images: tuple[int, ...]
    reach: float
    others: float
    bits: int
    decibels: float


def warn_of_calibration(
    graph: FloatGraph,
    seen: Mapping[str, Histogram],
    peaks: Peaks,
    types: Mapping[str, QType],
    images: int,
) -> None:
    """Tell of images that cost the others their precision, and of operands lost in a concat."""
    if images >= FEWEST:
        _warn_of_images(find_outliers(seen, peaks, types))
    for node in graph.nodes:
        if node.shares_type and len(node.inputs) > 1:
            for name in node.inputs:
                _warn_of_operand(node.name, name, seen[name], types[name])


def outlying(
    seen: Mapping[str, Histogram], peaks: Peaks, types: Mapping[str, QType], images: int
) -> tuple[int, ...]:
    """Numbers of the images that are outliers in any layer, of so many in all."""
    if images < FEWEST:
        return ()
    found = find_outliers(seen, peaks, types)
    return tuple(sorted({number for outlier in found for number in outlier.images}))


def find_outliers(
    seen: Mapping[str, Histogram], peaks: Peaks, types: Mapping[str, QType]
) -> list[Outlier]:
    """The outliers of each layer: the fewest images without which its exponent is finer."""
    found = []
    for name, kept in peaks.furthest.items():
        # Results of the network are not rounded, and constants have no range.
        if name in types and types[name].bits <= 16 and seen[name].least != seen[name].most:
            outlier = _outlier(name, seen[name], kept, types[name])
            if outlier is not None:
                found.append(outlier)
    return found


def _outlier(name, whole, kept, type):
    chosen = _chosen(whole, type)
    rest = whole
    for count, (_, _, one) in enumerate(kept, 1):
        rest = rest.without(one)
        if rest is None:
            return None
        finer = _chosen(rest, type)
        bits = finer.exponent - chosen.exponent
        if bits >= OUTLIER_BITS:
            # Measured on the others alone: what they lose by the exponent that all have.
            loss = squared_error(rest, chosen) / squared_error(rest, finer)
            numbers = tuple(number for _, number, _ in kept[:count])
            others = max(-rest.least, rest.most)
            return Outlier(name, numbers, kept[0][0], others, bits, 10 * math.log10(loss))
    return None


def _chosen(seen, type):
    return choose_type(seen, type.bits, type.signed, bool(type.zero_point))


def _warn_of_images(outliers):
    by_images: dict[frozenset[int], list[Outlier]] = {}
    for outlier in outliers:
        by_images.setdefault(frozenset(outlier.images), []).append(outlier)
    for found in by_images.values():
        worst = max(found, key=lambda outlier: outlier.decibels)
        numbers = ", ".join(map(str, sorted(worst.images)))
        which = f"image {numbers}" if len(worst.images) == 1 else f"images {numbers}"
        more = f", and in {len(found) - 1} more layers" if len(found) > 1 else ""
        _warn(
            f"{which} of the calibration data (counted from 0) reach {worst.reach:.3g} in layer "
            f"'{worst.layer}', where all others stay within {worst.others:.3g}: these lose "
            f"{worst.bits} bits, {worst.decibels:.1f} dB of signal to noise there{more}; check or "
            f"leave out such images"
        )


def _warn_of_operand(concat, name, seen, type):
    alone = _chosen(seen, type)
    bits = alone.exponent - type.exponent
    if bits < OPERAND_BITS:
        return
    kept, possible = (signal_to_noise_of(seen, each) for each in (type, alone))
    _warn(
        f"operand '{name}' of the concatenation '{concat}' has the exponent of larger operands, "
        f"which leaves it {kept:.1f} dB of signal to noise instead of {possible:.1f}, {bits} bits "
        f"less; scale it up in the model, and the weights that read it down"
    )


def signal_to_noise_of(seen: Histogram, type: QType) -> float:
    """The signal to noise of a tensor rounded to ``type``, in dB."""
    signal = float((seen.centres.square() * seen.counts).sum())
    tiny = torch.finfo(torch.float64).tiny
    return 10 * math.log10(max(signal, tiny) / max(squared_error(seen, type), tiny))


def _warn(text):
    warnings.warn(text, QnnWarning, stacklevel=4)
