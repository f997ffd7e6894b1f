"""How the integers of a network that was taken as it is differ from its own, layer by layer."""

from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import stream
from qnn.functions.given import GivenQuantizer
from qnn.nn.exact import exact
from qnn.nn.model import QuantizedModel
from qnn.ptq.given.settle import SettledNetwork
from qnn.quant import pow2

# Of a result without a quantizer: the network's own float32 sums have 24 bits.
CLOSE = 2.0**-20


@dataclass(frozen=True)
class LayerDifference:
    """One layer beside the network's own, on the operands that the network has there.

    Members
    -------
    given : the network's quantizer; None: it has none
    why : it may differ; empty where it is proved that it cannot
    values, differing : numbers that were compared, and that differ
    worst : the greatest difference, in steps of the quantizer, or in reals where there is none
    """

    name: str
    given: GivenQuantizer | None
    why: str
    values: int
    differing: int
    worst: float

    def __str__(self) -> str:
        where = f"layer '{self.name}'"
        steps = ""
        if self.given is not None:
            where, steps = f"{where}, quantizer '{self.given.layer}' ({self.given})", " steps"
        many = f"{self.differing:,} of {self.values:,} values differ"
        worst = f", by {self.worst:g}{steps} at most" if self.differing else ""
        return f"{where}: {self.why or 'not explained'}; {many}{worst}"


@dataclass(frozen=True)
class GivenReport:
    """What is known of a network that was taken as it is.

    Members
    -------
    images : that were compared
    layers : all tensors that have a counterpart in the network, in order
    twice : layers that are computed twice, for halves to go where the network rounds them
    outputs : of each output of the network, how it differs when all layers run behind each other
    """

    images: int
    layers: tuple[LayerDifference, ...]
    twice: tuple[str, ...]
    outputs: tuple[LayerDifference, ...]

    @property
    def exact(self) -> bool:
        """Whether every layer has the network's integers for all images, by proof."""
        return not any(each.why for each in self.layers)

    @property
    def differing(self) -> int:
        """Values of layers that differ on the images."""
        return sum(each.differing for each in self.layers)

    def __str__(self) -> str:
        values = sum(each.values for each in self.layers)
        lines = [
            f"taken with its own quantizers: {self.differing:,} of {values:,} values of "
            f"{len(self.layers)} layers differ on {self.images} images"
        ]
        if self.exact:
            lines[0] += ", and none can on others"
        if self.twice:
            lines.append(
                f"computed twice, as the network rounds halves otherwise than up: "
                f"{', '.join(self.twice)} (ties='up' computes them once)"
            )
        lines += [str(each) for each in self.layers if each.why or each.differing]
        if not self.exact or self.differing:
            lines += [
                f"output: {each.differing:,} of {each.values:,} values differ, by "
                f"{each.worst:g} at most"
                for each in self.outputs
            ]
        return "\n".join(lines)


@torch.no_grad()
def compared(
    fused: FloatGraph,
    settled: SettledNetwork,
    quantized: QuantizedModel,
    images: tuple[Tensor, ...],
) -> GivenReport:
    """Each layer of the quantized network beside that of the network's own quantizers.

    Parameters
    ----------
    images : reals of each input, as blocks
    """
    # As PyTorch computes it, by an algorithm that rounds no more than its sums do.
    with exact():
        wanted = dict(stream(fused, *images))
        layers = _layers(fused, quantized, wanted, images, settled.inexact)
    layers += _weights(quantized, settled)
    found = quantized.tensors(*images)
    outputs = [
        _difference(each.name, None, "", found[each.name], wanted[each.name], quantized)
        for each in fused.outputs
        if each.name in found
    ]
    return GivenReport(len(images[0]), tuple(layers), settled.twice, tuple(outputs))


def _layers(fused, quantized, wanted, images, why):
    """Each layer on the network's own operands, so that no layer is blamed for another one."""
    values, differences = {}, []
    for plan, source, x in zip(
        quantized.plan.network_inputs, quantized.inputs, images, strict=True
    ):
        values[plan.name] = source(x)
        # The quantizer behind an input, where that has taken it in.
        kept = {each.name for each in quantized.plan.layers}
        reader = next((n for n in fused.users(plan.name) if n.name not in kept), None)
        own = x if reader is None else wanted[reader.name]
        given = None if reader is None else reader.given
        if plan.name in why or given is not None:
            reason = why.get(plan.name, "inputs just between two steps go up here")
            found = _difference(plan.name, given, reason, values[plan.name], own, quantized)
            if plan.name in why or found.differing:
                differences.append(found)
            values[plan.name] = _steps(own, quantized.type(plan.name), values[plan.name])
    for plan in quantized.plan.layers[len(values) :]:
        found = quantized.layer(plan.name)(*(values[name] for name in plan.inputs))
        values[plan.name] = found
        if plan.name not in wanted:
            continue
        given = fused[plan.name].given
        own = wanted[plan.name]
        difference = _difference(plan.name, given, why.get(plan.name, ""), found, own, quantized)
        if given is not None or difference.why:
            differences.append(difference)
        # What has no quantizer stays what it is here: the network has reals in its place.
        if given is not None:
            values[plan.name] = _steps(own, quantized.type(plan.name), found)
    return differences


def _steps(reals, type, like):
    """The integers of reals that are whole steps of a type, and nearest ones of others."""
    return torch.round(reals.double() * 2.0**type.exponent).to(like.dtype)


def _difference(name, given, why, found, wanted, quantized):
    scale = quantized.type(name).scale
    # In float64, in which neither loses a place.
    difference = (found.double() * scale - wanted.double()).abs()
    near = 0.0 if given is not None else CLOSE * float(wanted.abs().max())
    worst = float(difference.max())
    return LayerDifference(
        name,
        given,
        why,
        difference.numel(),
        int((difference > near).sum()),
        worst / scale if given is not None else worst,
    )


def _weights(quantized, settled):
    """Layers that have other weights than the network, for want of room."""
    found = []
    for plan in quantized.plan.convs:
        layer = quantized.layer(plan.name)
        got, wanted = (
            pow2.values(layer.indices(), layer.weight_exponent, plan.weight_bits),
            layer.folded()[0],
        )
        if not torch.equal(got, wanted) and plan.name not in settled.inexact:
            why = "its weights have no room beside its sums, and are rounded"
            worst = float((got - wanted).abs().max())
            count = int((got != wanted).sum())
            found.append(LayerDifference(plan.name, None, why, got.numel(), count, worst))
    return found
