"""From one term everywhere to the most everywhere: which layer gets its next term first."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import stream
from qnn.nn.learn import learnable
from qnn.nn.model import QuantizedModel
from qnn.ptq.moments import moments_of
from qnn.ptq.plans import CLOSE_TERMS
from qnn.ptq.round_layers import fitted_values
from qnn.ptq.sensitivity import Losses, Trials, with_terms
from qnn.quant.rounding.quadratic import GridRows

MEASURED = 2  # numbers of terms that are tried; from there on each takes as much off
# Each term of falling weight brings 11 dB and more, in squares.
NEXT_TERM = 12.0  # how many times less is lost with one more

Costs = Mapping[str, Mapping[int, float]]  # by layer and terms


@dataclass(frozen=True)
class TermsPath:
    """Terms of each layer, ever more of them.

    Members
    -------
    first : terms of each layer at the beginning
    more : layers that get one more term, in order
    costs : by layer and terms
    """

    first: Mapping[str, int]
    more: tuple[str, ...]
    costs: Costs

    def terms(self, steps: int) -> dict[str, int]:
        """Terms of each layer after so many steps of ``more``."""
        found = dict(self.first)
        for name in self.more[:steps]:
            found[name] += 1
        return found

    def cost(self, steps: int) -> float:
        """What the layers cost after so many steps."""
        return sum(self.costs[name][terms] for name, terms in self.terms(steps).items())


def path_of(losses: Losses, costs: Costs) -> TermsPath:
    """The path on which each step takes off most of the loss for what it costs."""
    first = {name: min(found) for name, found in losses.items()}
    terms, more, queue = dict(first), [], []

    def offer(name):
        """What layers have next to offer, the best first; several terms at once may be better."""
        now, options = terms[name], [k for k in losses[name] if k > terms[name]]
        if not options:
            return
        gains = {
            k: (losses[name][now] - losses[name][k]) / max(costs[name][k] - costs[name][now], 1e-9)
            for k in options
        }
        best = max(gains, key=lambda k: (gains[k], -k))
        heapq.heappush(queue, (-gains[best], name, best))

    for name in losses:
        offer(name)
    # An offer of a layer is made anew whenever one was taken, so that none is out of date.
    while queue:
        _, name, reached = heapq.heappop(queue)
        more += [name] * (reached - terms[name])
        terms[name] = reached
        offer(name)
    return TermsPath(first, tuple(more), costs)


def extended(losses: Losses, bits: Mapping[str, int]) -> dict[str, dict[int, float]]:
    """Losses of more terms than were measured, each as much less as a term brings.

    ``bits`` has those of each layer's codes.
    """
    result = {}
    for name, found in losses.items():
        whole = dict(found)
        for terms in range(max(found) + 1, CLOSE_TERMS[bits[name]] + 1):
            whole[terms] = whole[terms - 1] / NEXT_TERM
        result[name] = whole
    return result


@torch.no_grad()
def trials(quantized: QuantizedModel, graph: FloatGraph, images: tuple[Tensor, ...]) -> Trials:
    """Weights and biases of each layer that learns, rounded behind float ones, by terms.

    Parameters
    ----------
    graph : that ``quantized`` was made of
    images : (count, ...) of each input
    """
    found, values, learned = {}, {}, dict(learnable(quantized))
    last = {name: node.name for node in graph.nodes for name in node.inputs}
    for name, real in stream(graph, *images):
        inputs = quantized.layer(name).plan.inputs
        if name in learned:
            found[name] = _of_layer(learned[name], values[inputs[0]])
        values[name] = real
        for operand in {operand for operand in inputs if last[operand] == name}:
            del values[operand]
    return found


def _of_layer(conv, x) -> dict[int, tuple[Tensor, Tensor | None]]:
    weight, bias = conv.folded()
    moments = moments_of(
        conv, x, lambda part: conv.convolve(x[part].float(), weight.float(), bias.float())
    )
    groups, found = conv.plan.window.groups, {}
    for terms in range(1, MEASURED + 1):
        exponent = with_terms(conv, terms).weight_exponent
        rows = GridRows.of(weight, exponent, groups, conv.plan.weight_bits, terms)
        got = fitted_values(rows, moments)
        moved = None
        if conv.moves_mean:
            moved = (moments.t - (got @ moments.x[:, :, None]).flatten()).float()
        found[terms] = got.reshape(weight.shape).float(), moved
    return found
