"""Each layer rounded alone, by terms, with what the layers that read it can take back."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.operator import FloatOperator
from qnn.frontend.run import stream
from qnn.nn.layers import QuantConv
from qnn.nn.learn import learnable
from qnn.nn.model import QuantizedModel
from qnn.ptq.moments import Moments, moments_of
from qnn.ptq.round_layers import DAMPING, fitted_values
from qnn.ptq.sensitivity import Trial, Trials, with_terms
from qnn.quant.rounding.quadratic import GridRows, damped

# A concatenation hands on what every layer before it changed: of a DenseNet, gigabytes.
MOST_BYTES = (
    1 << 30
)  # of changed tensors; beyond, the layers behind the first ones keep their weights
MEASURED = 2  # numbers of terms that are tried; from there on each takes as much off


@torch.no_grad()
def trials(quantized: QuantizedModel, graph: FloatGraph, images: tuple[Tensor, ...]) -> Trials:
    """Weights and biases of each layer that learns, rounded behind float ones, by terms.

    Beside them stand those of the layers that read it, which then give as well as they can, without
    being rounded, what they gave before: in a whole design each layer takes back what was lost
    before it, so that most of what a first layer loses alone is lost by no design.

    Parameters
    ----------
    graph : that ``quantized`` was made of
    images : (count, ...) of each input
    """
    walk = _FloatWalk(graph, dict(learnable(quantized)))
    for name, real in stream(graph, *images):
        walk.pass_by(name, real)
    return walk.found


@dataclass(eq=False)
class _FloatWalk:
    """A walk over a network, with the tensors that rounded layers change until they are read.

    Members
    -------
    values : float tensors that are still to be read
    changed : what becomes of tensors, by the layer that is rounded and its terms
    """

    graph: FloatGraph
    learned: dict[str, QuantConv]
    values: dict[str, Tensor] = field(default_factory=dict)
    changed: dict[tuple[str, int], dict[str, Tensor]] = field(default_factory=dict)
    found: dict[str, dict[int, Trial]] = field(default_factory=dict)

    def __post_init__(self):
        self._nodes = {node.name: node for node in self.graph.nodes}
        self._last = {name: node.name for node in self.graph.nodes for name in node.inputs}

    def pass_by(self, name: str, real: Tensor) -> None:
        """Go on to the next tensor, whose float value is ``real``."""
        node = self._nodes[name]
        for key, changed in self.changed.items():
            if not changed.keys().isdisjoint(node.inputs):
                self._read(node, key, changed)
        if name in self.learned:
            self._round(node)
        self.values[name] = real
        for operand in {operand for operand in node.inputs if self._last[operand] == name}:
            del self.values[operand]
            for changed in self.changed.values():
                changed.pop(operand, None)
        self.changed = {key: changed for key, changed in self.changed.items() if changed}
        while sum(x.nbytes for each in self.changed.values() for x in each.values()) > MOST_BYTES:
            del self.changed[next(iter(self.changed))]

    def _read(self, node: FloatOperator, key: tuple[str, int], changed: dict[str, Tensor]) -> None:
        """A node reads what a rounded layer changed."""
        operands = [changed.get(name, self.values[name]) for name in node.inputs]
        if node.name not in self.learned:
            changed[node.name] = node.evaluate(*operands)
            return
        conv, (layer, terms) = self.learned[node.name], key
        x, wanted = operands[0], self._sums(node)

        def less_skip(part):
            """The float layer's sums, less what the skip operand has more."""
            sums = wanted(part)
            for name, got in zip(node.inputs[1:], operands[1:], strict=True):
                sums = sums + self.values[name][part] - got[part]
            return sums

        moments = moments_of(conv, x, less_skip)
        if moments.second is None:
            return
        weight, _ = conv.folded()
        rows = self._rows(conv, weight, 1)
        missing = moments.cross - rows.w @ moments.second
        more = torch.linalg.solve(damped(moments.second, DAMPING), missing.transpose(1, 2))
        self.found[layer][terms][node.name] = _trial(conv, rows.w + more.transpose(1, 2), moments)

    def _round(self, node: FloatOperator) -> None:
        """Round a layer, and keep what it then gives."""
        conv, operands = self.learned[node.name], [self.values[name] for name in node.inputs]
        weight, bias = conv.folded()
        moments = moments_of(conv, operands[0], self._sums(node))
        self.found[node.name] = {}
        for terms in range(1, MEASURED + 1):
            rows = self._rows(with_terms(conv, terms), weight, terms)
            # One choice is followed: it is compared with what was found likewise alone.
            got, _ = fitted_values(rows, moments, thorough=False)
            rounded, moved = _trial(conv, got, moments)
            self.found[node.name][terms] = {node.name: (rounded, moved)}
            own = bias.float() if moved is None else moved
            changed = replace(node, weight=rounded, bias=own, batchnorm=None, scale=1.0)
            self.changed[node.name, terms] = {node.name: changed.evaluate(*operands)}

    def _sums(self, node):
        """What gives the float layer's sums of some images."""
        conv, x = self.learned[node.name], self.values[node.inputs[0]]
        weight, bias = (each.float() for each in conv.folded())
        return lambda part: conv.convolve(x[part].float(), weight, bias)

    def _rows(self, conv, weight, terms) -> GridRows:
        plan = conv.plan
        return GridRows.of(
            weight, conv.weight_exponent, plan.window.groups, plan.weight_bits, terms
        )


def _trial(conv: QuantConv, got: Tensor, moments: Moments) -> tuple[Tensor, Tensor | None]:
    """Weights (groups, rows, inputs) as the layer's, with the bias that keeps means."""
    moved = None
    if conv.moves_mean:
        moved = (moments.t - (got @ moments.x[:, :, None]).flatten()).float()
    return got.reshape(conv.plan.weight_shape).float(), moved
