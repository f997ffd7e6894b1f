"""Rounding shifts the mean of what a layer computes; its bias takes the shift back."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import unfinished
from qnn.ir.graph import results_of
from qnn.nn.layers import QuantConv
from qnn.nn.learn import learnable
from qnn.nn.model import QuantizedModel
from qnn.nn.scales import set_exponents
from qnn.ptq.beside_float import beside_float
from qnn.ptq.chunks import chunks, concatenated, pixels_per_image
from qnn.ptq.data import sample
from qnn.ptq.sensitivity import divergence
from qnn.quant import pow2
from qnn.tasks.kinds import TaskKind, find_task

# A channel's mean is over images and pixels: its error falls with both.
IMAGES = 512  # enough for a mean; their tensors have to fit in memory
PIXELS = 1 << 22  # of an input, 512 images of 90 x 90: larger images make up for a smaller count
FEWEST = 32  # images, however large: the last layers of a network have few pixels each


@torch.no_grad()
def correct_bias_if_better(
    quantized: QuantizedModel,
    graph: FloatGraph,
    images: tuple[Tensor, ...],
    kinds: Sequence[TaskKind] = (),
) -> bool:
    """Whether corrected biases bring the outputs nearer to the float ones; if not, none is changed.

    Means are taken of one half of ``images``, drawn at random, and judged on the other, because a
    correction always fits the images that it was made of. One image alone corrects nothing.

    Parameters
    ----------
    kinds : what each output is for; none: as far as its shape tells
    """
    kinds = kinds or [find_task(each.shape) for each in results_of(graph.outputs, graph.host)]
    images = sample(images, 2 * _count(images))
    half = len(images[0]) // 2
    if half == 0:
        return False
    others = tuple(each[half:] for each in images)
    # The float network's own outputs, once for both judgements.
    wanted = concatenated(unfinished(graph, *part) for part in chunks([others]))
    before = copy.deepcopy(quantized.state_dict())
    errors = _output_errors(quantized, others, wanted, kinds)
    correct_bias(quantized, graph, tuple(each[:half] for each in images))
    if _helped(errors, _output_errors(quantized, others, wanted, kinds)):
        return True
    quantized.load_state_dict(before)
    return False


def _helped(before: tuple[float, Tensor], after: tuple[float, Tensor]) -> bool:
    """Whether outputs came nearer without clearly more changed answers."""
    # Both: a network that rounding ruined may come nearer by being less sure of wrong answers.
    more = after[1] - before[1]
    # Two standard errors of a paired sum: on some hundred images a few answers change by chance.
    return after[0] < before[0] and float(more.sum()) <= 2 * float(more.square().sum().sqrt())


def _output_errors(quantized, images, wanted, kinds) -> tuple[float, Tensor]:
    """How far outputs are from the float ones, added up, and each image's changed answers."""
    # Of all images at once: those of a part have a spread of their own.
    results = concatenated(quantized.unfinished(*part) for part in chunks([images]))
    total, changed = 0.0, torch.zeros(len(images[0]))
    for real, got, kind in zip(wanted, results, kinds, strict=True):
        got = got.reshape(real.shape)
        total += float(divergence(real, got, kind))
        changed += _changed_answers(real, got, kind)
    return total, changed


def _changed_answers(real, got, kind) -> Tensor:
    """How many answers of a classifier differ, of each image; none of what gives numbers."""
    if not kind.classifies:
        return torch.zeros(len(real))
    one, other = ((x.argmax(1) if kind.competes else x > 0) for x in (real, got))
    return (one != other).reshape(len(real), -1).sum(1).float()


def _count(images: tuple[Tensor, ...]) -> int:
    """How many images means are taken of, at most."""
    return min(IMAGES, max(FEWEST, PIXELS // pixels_per_image(images)))


@torch.no_grad()
def correct_bias(quantized: QuantizedModel, graph: FloatGraph, images: tuple[Tensor, ...]) -> None:
    """Give each output channel the mean on ``images`` that it has in the float ``graph``.

    Means come back, but not what rounding adds around them: it helps most networks, not all. On
    CIFAR-10 ResNet-20 of equal terms gained 2 points at 4 bits and lost 22 at 3 bits.

    What is compared are the sums before bias, skip operand and clamp. Layers follow one another,
    so that each sees operands that are right already. Layers whose weights the architecture
    gives, and those without a bias, stay as they are.

    Parameters
    ----------
    graph : that ``quantized`` was made of; its nodes are the layers, in order
    images : (count, channels, height, width) of each input, what the float model takes

    Source
        Bias correction: Nagel et al., arXiv:1906.04721, section 4.2, with sampled operands.
    """
    images = sample(images, _count(images))
    learned = dict(learnable(quantized))
    for name, values, reals in beside_float(quantized, graph, images):
        if name in learned:
            conv, operand = learned[name], learned[name].plan.inputs[0]
            # Before the exponents, whose room depends on the bias.
            conv.add_bias(-_mean_error(conv, values[operand], reals[operand]))
            set_exponents(conv)


def _mean_error(conv: QuantConv, x: Tensor, real: Tensor) -> Tensor:
    """What rounded weights and operands add to each output channel on average: (outputs,)."""
    rounded = pow2.values(conv.indices(), conv.weight_exponent, conv.plan.weight_bits)
    operand = x * 2.0 ** -int(conv.input_exponent)
    return _mean_sum(conv, operand, rounded) - _mean_sum(conv, real, conv.folded()[0])


def _mean_sum(conv, x, weight):
    # Summed in float64: float32 loses digits over millions of pixels.
    return conv.convolve(x.float(), weight.float()).mean((0, 2, 3), dtype=torch.float64)
